using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>AdamW's state (Loshchilov and Hutter 2019) for one run of weights, and its step.</summary>
/// <param name="count">How many weights.</param>
/// <param name="decayed">The first so many are subject to weight decay.</param>
/// <param name="weightDecay">In shares of the learning rate per step.</param>
/// <param name="settings">Adam's constants.</param>
/// <param name="device">Where the weights are.</param>
internal sealed class AdamMoments(
    long count, long decayed, double weightDecay, AdamSettings settings, torch.Device device)
{
    // A number's share of a step, in multiply-adds that would take as long.
    private const int Cost = 16;

    private readonly torch.Tensor _mean = Zeros(count, device), _square = Zeros(count, device);

    /// <summary>First and second moments of the gradients.</summary>
    public IEnumerable<(string Name, torch.Tensor Value)> State => [("mean", _mean), ("square", _square)];

    /// <summary>Whether weight decay concerns a parameter.</summary>
    /// <remarks>
    /// Biases and scales of several networks side by side are (Members, 1, Width): no matrices either.
    /// </remarks>
    public static bool IsMatrix(torch.Tensor parameter) => parameter.dim() >= 2 && parameter.shape[^2] > 1;

    /// <summary>Parameters with those subject to weight decay first, so that it is one operation.</summary>
    public static torch.Tensor[] Order(IEnumerable<torch.Tensor> parameters) =>
        [.. parameters.OrderByDescending(IsMatrix)];

    /// <summary>Update number <paramref name="step"/>, counted from one.</summary>
    public void Move(torch.Tensor weights, torch.Tensor gradients, double rate, long step)
    {
        if (weights.device_type == DeviceType.CPU && count is > 0 and <= int.MaxValue / sizeof(float))
        {
            MoveInOnePass(weights, gradients, rate, step);
            return;
        }
        (double beta1, double beta2, double epsilon) = settings;
        _mean.mul_(beta1).add_(gradients, 1 - beta1);
        _square.mul_(beta2).addcmul_(gradients, gradients, 1 - beta2);
        if (weightDecay > 0 && decayed > 0)
            weights.narrow(0, 0, decayed).mul_(1 - rate * weightDecay);
        double meanScale = 1 - Math.Pow(beta1, step);
        double squareScale = Math.Sqrt(1 - Math.Pow(beta2, step));
        torch.Tensor deviation = _square.sqrt().mul_(1 / squareScale).add_(epsilon);
        weights.addcdiv_(_mean, deviation, -rate / meanScale);
    }

    // Seven operators would each read or write everything; on the CPU memory is what a step waits for.
    private unsafe void MoveInOnePass(torch.Tensor weights, torch.Tensor gradients, double rate, long step)
    {
        (double beta1, double beta2, double epsilon) = settings;
        float* w = Address(weights), g = Address(gradients), m = Address(_mean), s = Address(_square);
        double meanScale = 1 - Math.Pow(beta1, step), squareScale = Math.Sqrt(1 - Math.Pow(beta2, step));
        int length = (int)count, decays = weightDecay > 0 ? (int)decayed : 0;
        float kept = (float)(1 - rate * weightDecay), move = (float)(-rate / meanScale);
        float keptMean = (float)beta1, newMean = (float)(1 - beta1), keptSquare = (float)beta2;
        float newSquare = (float)(1 - beta2), scale = (float)(1 / squareScale), least = (float)epsilon;

        Parallelism.For(length, Parallelism.Parts(length, Cost, torch.get_num_threads()), (first, end) =>
        {
            // Parts start at whole vectors, so that their number changes nothing.
            (first, end) = (Whole(first), end == length ? length : Whole(end));
            for (int i = first; i < end;)
            {
                // Vectors all subject to decay, or none; the one that is both, and the last few, number by number.
                bool vector = i + Vector<float>.Count <= end && (i + Vector<float>.Count <= decays || i >= decays);
                if (!vector)
                {
                    int stop = Math.Min(end, i + Vector<float>.Count);
                    for (; i < stop; i++)
                    {
                        m[i] = m[i] * keptMean + g[i] * newMean;
                        s[i] = s[i] * keptSquare + g[i] * g[i] * newSquare;
                        w[i] = (i < decays ? w[i] * kept : w[i]) + m[i] / (MathF.Sqrt(s[i]) * scale + least) * move;
                    }
                    continue;
                }
                Vector<float> slope = Vector.Load(g + i);
                Vector<float> mean = Vector.Load(m + i) * keptMean + slope * newMean;
                Vector<float> square = Vector.Load(s + i) * keptSquare + slope * slope * newSquare;
                Vector<float> weight = Vector.Load(w + i);
                if (i < decays)
                    weight *= kept;
                Vector<float> deviation = Vector.SquareRoot(square) * scale + new Vector<float>(least);
                Vector.Store(mean, m + i);
                Vector.Store(square, s + i);
                Vector.Store(weight + mean / deviation * move, w + i);
                i += Vector<float>.Count;
            }
        });
    }

    private static int Whole(int count) => count - count % Vector<float>.Count;

    private static unsafe float* Address(torch.Tensor tensor) => (float*)Unsafe.AsPointer(
        ref MemoryMarshal.GetReference(MemoryMarshal.Cast<byte, float>(tensor.bytes)));

    private static torch.Tensor Zeros(long count, torch.Device device) =>
        torch.zeros(count, torch.ScalarType.Float32, device).DetachFromDisposeScope();
}
