using System.Diagnostics;
using GenerativeML.TestData;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace GenerativeML.GpuCheck;

/// <summary>
/// The same steps as somebody would write them with TorchSharp alone: stock modules, stock Adam. It has no autocast, so
/// that bf16 is a network whose weights are bfloat16, too.
/// </summary>
internal static class Stock
{
    /// <summary>Trains, and times the steps after the first third.</summary>
    public static Timing Time(Work work, bool onCpu)
    {
        Device device = onCpu ? CPU : CUDA;
        if (work.Precision == "tf32")
            backends.cuda.matmul.allow_tf32 = true;
        random.manual_seed(1);
        Func<int, Tensor> step = work.Kind switch
        {
            "gpt" => Gpt(work, device),
            "vae" => Vae(work, device),
            _ => Gan(work, device),
        };
        var watch = new Stopwatch();
        double loss = 0;
        for (int i = 0; i < work.Steps; i++)
        {
            if (i == work.Skipped)
            {
                Synchronize(onCpu);
                watch.Start();
            }
            using DisposeScope scope = NewDisposeScope();
            Tensor last = step(i);
            if (i == work.Steps - 1)
                loss = last.ToDouble();
        }
        Synchronize(onCpu);
        double milliseconds = watch.Elapsed.TotalMilliseconds / (work.Steps - work.Skipped);
        return new(work.Name, "stock", milliseconds, loss, ProcessMegabytes(onCpu));
    }

    /// <summary>The most memory that this process had; of a device's, only somebody outside can tell.</summary>
    public static long ProcessMegabytes(bool onCpu)
    {
        using var self = Process.GetCurrentProcess();
        return onCpu ? self.PeakWorkingSet64 >> 20 : 0;
    }

    private static void Synchronize(bool onCpu)
    {
        if (!onCpu)
            cuda.synchronize();
    }

    private static Func<int, Tensor> Gpt(Work work, Device device)
    {
        var network = new StockGpt(work.Vocabulary, work.Context, work.Layers, work.Heads, work.Width, biases: true);
        network.to(device);
        if (work.Precision == "bf16")
            network.to(bfloat16);
        optim.Optimizer adam = optim.AdamW(network.parameters(), lr: 1e-4, weight_decay: 0.1);
        Tensor text = randint(0, 30, [200_000], int64, device);
        return _ =>
        {
            Tensor windows = stack(Enumerable.Range(0, work.Batch)
                .Select(_ => Random.Shared.NextInt64(199_000 - work.Context))
                .Select(start => text.slice(0, start, start + work.Context + 1, 1)));
            Tensor logits = network.call(windows.slice(1, 0, work.Context, 1));
            Tensor loss = F.cross_entropy(
                logits.view(-1, work.Vocabulary).to(float32), windows.slice(1, 1, work.Context + 1, 1).reshape(-1));
            Move(adam, loss);
            return loss;
        };
    }

    private static Func<int, Tensor> Vae(Work work, Device device)
    {
        Sequential encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40)).to(device);
        Sequential decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784)).to(device);
        optim.Optimizer adam = optim.Adam(encoder.parameters().Concat(decoder.parameters()), lr: 1e-3);
        int count = 10 * work.Batch;
        Tensor images = rand(count, 784, device: device).lt(rand(count, 1, device: device)).to(float32);
        return i =>
        {
            Tensor x = Batch(images, i, work.Batch);
            Tensor[] code = encoder.call(x).chunk(2, 1);
            (Tensor mu, Tensor logVar) = (code[0], code[1]);
            Tensor z = mu + (0.5 * logVar).exp() * randn_like(mu);
            Tensor loss = (F.binary_cross_entropy_with_logits(decoder.call(z), x, reduction: nn.Reduction.Sum)
                + 0.5 * (mu.square() + logVar.exp() - logVar - 1).sum()) / work.Batch;
            Move(adam, loss);
            return loss;
        };
    }

    private static Func<int, Tensor> Gan(Work work, Device device)
    {
        Sequential Perceptron(int inputs, int outputs) => nn.Sequential(
            nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, outputs)).to(device);
        Sequential generator = Perceptron(8, 2), critic = Perceptron(2, 1);
        optim.Optimizer judge = optim.Adam(critic.parameters(), lr: 1e-3, beta1: 0, beta2: 0.9);
        optim.Optimizer make = optim.Adam(generator.parameters(), lr: 1e-3, beta1: 0, beta2: 0.9);
        Tensor angles = randint(0, 8, [10 * work.Batch, 1], float32, device) * (Math.PI / 4);
        Tensor points = cat([angles.cos(), angles.sin()], 1) + 0.05 * rand(10 * work.Batch, 2, device: device);
        return i =>
        {
            Tensor real = Batch(points, i, work.Batch);
            Tensor fake = generator.call(randn(work.Batch, 8, device: device)).detach();
            Tensor between = fake.lerp(real, rand(work.Batch, 1, device: device)).requires_grad_();
            Tensor gradient = autograd.grad(
                [critic.call(between).sum()], [between], retain_graph: true, create_graph: true)[0];
            Tensor penalty = 0.1 * (gradient.norm(1) - 1).square().mean();
            Tensor loss = critic.call(fake).mean() - critic.call(real).mean() + penalty;
            Move(judge, loss);
            if ((i + 1) % 3 == 0)
                Move(make, -critic.call(generator.call(randn(work.Batch, 8, device: device))).mean());
            return loss;
        };
    }

    private static Tensor Batch(Tensor rows, int step, int size) =>
        rows.slice(0, step % 10 * size, (step % 10 + 1) * size, 1);

    private static void Move(optim.Optimizer optimizer, Tensor loss)
    {
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
    }
}
