using TorchSharp;

namespace GenerativeML;

/// <summary>Makes rows from noise, during training and after it.</summary>
internal static class GanSampling
{
    /// <summary>See <see cref="IVectorGenerator.Generate"/>.</summary>
    public static void Generate(
        GanModel model, torch.Device device, Span<float> rows, Span<float> conditions, int count, ulong seed,
        ReadOnlySpan<float> where)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        using var random = new SeededRandom(device, seed);
        torch.Tensor? condition = model.Conditions.Draw(conditions, count, seed, where);
        torch.Tensor noise = random.Normal([count, model.Shape.NoiseDimension]);
        HostTensors.CopyTo(model.InUnits(model.Generate(noise, condition)), rows);
    }
}
