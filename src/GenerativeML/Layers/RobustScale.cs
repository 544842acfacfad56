using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The standardisation of columns: by mean and deviation, and beyond five deviations by the logarithm, so that one wild
/// value, in training or in scoring, does not outweigh everything else. It can be undone.
/// </summary>
internal static class RobustScale
{
    /// <summary>Up to so many deviations a value counts by itself.</summary>
    public const float Linear = 5;

    /// <summary>
    /// Differences from the mean, and counts of deviations, are cut off here: larger ones would overflow, and the
    /// logarithm no longer tells them apart.
    /// </summary>
    public const float Limit = 1e30f;

    /// <summary>The logarithm of <see cref="Limit"/>: no standardised value lies farther beyond.</summary>
    public const float MostBeyond = 69.07755f;

    /// <summary>Writes the mean of each slot, and one over its deviation: zero where it is constant.</summary>
    public static void Set(torch.Tensor mean, torch.Tensor scale, ColumnMoments moments)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        Write(mean, [.. moments.Mean.Select(m => (float)m)]);
        Write(scale, [.. moments.Deviation.Select(d => d > 0 ? (float)Math.Min(1 / d, float.MaxValue) : 0)]);

        static void Write(torch.Tensor target, float[] values) =>
            target.copy_(HostTensors.FromRows(values, 1, values.Length, target.device).view(-1));
    }

    /// <summary>Rows in the units of the data → standardised rows, (…, D) → (…, D).</summary>
    public static torch.Tensor Apply(torch.Tensor rows, torch.Tensor mean, torch.Tensor scale)
    {
        torch.Tensor z = rows.sub(mean).clamp_(-Limit, Limit).mul_(scale).clamp_(-Limit, Limit);
        torch.Tensor size = z.abs();
        // On a device, asking would mean to wait.
        if (z.device_type == DeviceType.CPU && size.numel() > 0 && size.max().item<float>() <= Linear)
            return z;
        torch.Tensor beyond = (size - Linear).clamp_min_(0); // zero within the linear range
        return z.clamp(-Linear, Linear).add_(z.sign().mul_(beyond.log1p()));
    }

    /// <summary>Standardised rows → rows in the units of the data, (…, D) → (…, D).</summary>
    public static torch.Tensor Undo(torch.Tensor standardized, torch.Tensor mean, torch.Tensor scale)
    {
        torch.Tensor beyond = (standardized.abs() - Linear).clamp_(0, MostBeyond);
        torch.Tensor z = standardized.clamp(-Linear, Linear).add_(standardized.sign().mul_(beyond.expm1()));
        torch.Tensor deviation = torch.where(scale.gt(0), scale.reciprocal(), torch.zeros_like(scale));
        return z.mul_(deviation).add_(mean);
    }

    /// <summary>
    /// The logarithm of the derivative of <see cref="Apply"/> in each slot, which turns a density of standardised rows
    /// into one of the rows themselves; zero where the slot is constant. Standardised (…, D) → (…, D).
    /// </summary>
    public static torch.Tensor LogDerivative(torch.Tensor standardized, torch.Tensor scale)
    {
        torch.Tensor counts = scale.gt(0).to(torch.ScalarType.Float32);
        torch.Tensor beyond = (standardized.abs() - Linear).clamp_(0, MostBeyond); // log(1 + distance)
        return torch.where(scale.gt(0), scale, torch.ones_like(scale)).log().sub(beyond).mul_(counts);
    }
}
