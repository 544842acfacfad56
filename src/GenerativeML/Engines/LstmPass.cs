using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// An LSTM layer with its gradients, for training on few cores: oneDNN, to which torch leaves it, takes twice as long for a
/// forward pass that is to have a backward one. This one keeps the gates, and makes each product that is not between two
/// steps once for all of them. What is not a product runs on one thread.
/// </summary>
internal sealed class LstmPass : torch.autograd.MultiTensorFunction<LstmPass>
{
    /// <inheritdoc/>
    public override string Name => nameof(LstmPass);

    /// <summary>
    /// Inputs (B, T, I), state and memory (1, B, H), the weights of inputs (4H, I) and of the state (4H, H), and a bias of each,
    /// (4H) → states (B, T, H), the last state and memory (1, B, H).
    /// </summary>
    public override List<torch.Tensor> forward(torch.autograd.AutogradContext ctx, params object[] vars)
    {
        torch.Tensor[] all = Array.ConvertAll(vars, v => (torch.Tensor)v);
        torch.Tensor x = all[0].transpose(0, 1).contiguous(), byInput = all[3], byState = all[4].t();
        (long steps, long rows, long width) = (x.size(0), x.size(1), all[1].size(2));
        torch.Tensor gates = torch.addmm(all[5].Plus(all[6]), x.view(steps * rows, -1), byInput.t(), 1, 1).view(steps, rows, -1);
        // Row t is what step t begins with.
        torch.Tensor states = torch.empty(steps + 1, rows, width), memories = torch.empty(steps + 1, rows, width);
        torch.Tensor squashed = torch.empty(steps, rows, width); // tanh of the memories
        states.narrow(0, 0, 1).copy_(all[1]).Dispose();
        memories.narrow(0, 0, 1).copy_(all[2]).Dispose();
        for (long t = 0; t < steps; t++)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor own = gates[t];
            own.addmm_(states[t], byState, 1, 1);
            Span<float> g = Numbers(own), s = Numbers(squashed[t]);
            Span<float> before = Numbers(memories[t]), after = Numbers(memories[t + 1]), h = Numbers(states[t + 1]);
            int w = (int)width;
            for (int at = 0; at < s.Length; at += w)
            {
                Span<float> row = g.Slice(4 * at, 4 * w), c = after.Slice(at, w), tanh = s.Slice(at, w);
                Span<float> i = row[..w], f = row[w..(2 * w)], n = row[(2 * w)..(3 * w)], o = row[(3 * w)..];
                TensorPrimitives.Sigmoid(row[..(2 * w)], row[..(2 * w)]);
                TensorPrimitives.Tanh(n, n);
                TensorPrimitives.Sigmoid(o, o);
                TensorPrimitives.Multiply(i, n, c);
                TensorPrimitives.MultiplyAdd(f, before.Slice(at, w), c, c);
                TensorPrimitives.Tanh(c, tanh);
                TensorPrimitives.Multiply(o, tanh, h.Slice(at, w));
            }
        }
        ctx.save_for_backward([x, byInput, all[4], gates, states, memories, squashed]);
        return [states.narrow(0, 1, steps).transpose(0, 1), states.narrow(0, steps, 1).clone(), memories.narrow(0, steps, 1).clone()];
    }

    /// <summary>The gradients of all inputs by those of the three results.</summary>
    public override List<torch.Tensor> backward(torch.autograd.AutogradContext ctx, List<torch.Tensor> grad_outputs)
    {
        List<torch.Tensor> saved = ctx.get_saved_variables();
        (torch.Tensor x, torch.Tensor byInput, torch.Tensor byState) = (saved[0], saved[1], saved[2]);
        (torch.Tensor gates, torch.Tensor states, torch.Tensor memories, torch.Tensor squashed) = (saved[3], saved[4], saved[5], saved[6]);
        (long steps, long rows, long width) = (x.size(0), x.size(1), squashed.size(2));
        torch.Tensor given = grad_outputs[0].transpose(0, 1).contiguous(), gradients = torch.empty_like(gates);
        torch.Tensor dh = grad_outputs[1].reshape(rows, width).clone(), dc = grad_outputs[2].reshape(rows, width).clone();
        int w = (int)width;
        float[] room = new float[w];
        for (long t = steps - 1; t >= 0; t--)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor own = gradients[t];
            Span<float> dg = Numbers(own), g = Numbers(gates[t]);
            Span<float> s = Numbers(squashed[t]), before = Numbers(memories[t]);
            Span<float> dState = Numbers(dh), dMemory = Numbers(dc);
            TensorPrimitives.Add(dState, Numbers(given[t]), dState);
            for (int at = 0; at < s.Length; at += w)
            {
                Span<float> row = g.Slice(4 * at, 4 * w), dRow = dg.Slice(4 * at, 4 * w);
                Span<float> i = row[..w], f = row[w..(2 * w)], n = row[(2 * w)..(3 * w)], o = row[(3 * w)..];
                Span<float> di = dRow[..w], df = dRow[w..(2 * w)], dn = dRow[(2 * w)..(3 * w)], dO = dRow[(3 * w)..];
                Span<float> h = dState.Slice(at, w), c = dMemory.Slice(at, w), tanh = s.Slice(at, w);
                // Of the memory: what comes from the next step, and by the state o·tanh(c).
                TensorPrimitives.Multiply(h, o, room);
                Add(room, tanh, c);
                TensorPrimitives.Multiply(c, n, di);
                Sigmoid(di, i);
                TensorPrimitives.Multiply(c, before.Slice(at, w), df);
                Sigmoid(df, f);
                dn.Clear();
                TensorPrimitives.Multiply(c, i, room);
                Add(room, n, dn);
                TensorPrimitives.Multiply(h, tanh, dO);
                Sigmoid(dO, o);
                TensorPrimitives.Multiply(c, f, c);
            }
            dh = dh.addmm_(own, byState, 0, 1);
        }
        torch.Tensor flat = gradients.view(steps * rows, 4 * width);
        torch.Tensor bias = flat.sum(0L);
        return
        [
            flat.matmul(byInput).view(steps, rows, -1).transpose(0, 1), dh.unsqueeze(0), dc.unsqueeze(0),
            flat.t().matmul(x.view(steps * rows, -1)), flat.t().matmul(states.narrow(0, 0, steps).reshape(steps * rows, width)),
            bias, bias.clone(),
        ];

        // By what went into the tanh y: d·(1 − y²), added.
        static void Add(Span<float> d, Span<float> y, Span<float> sum)
        {
            TensorPrimitives.Add(sum, d, sum);
            TensorPrimitives.Multiply(d, y, d);
            TensorPrimitives.Multiply(d, y, d);
            TensorPrimitives.Subtract(sum, d, sum);
        }

        // By what went into the sigmoid y: d·(y − y²).
        static void Sigmoid(Span<float> d, Span<float> y)
        {
            TensorPrimitives.Multiply(d, y, d);
            for (int i = 0; i < d.Length; i++)
                d[i] -= d[i] * y[i];
        }
    }

    private static Span<float> Numbers(torch.Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);
}
