using TorchSharp;

namespace GenerativeML;

/// <summary>Which levels of noise a diffusion model learns to undo, and by which it generates.</summary>
public enum NoiseSchedule
{
    /// <summary>
    /// Continuous: the logarithm of the noise is drawn from a normal distribution in training, and falls along a power
    /// of its level in sampling, in as many steps as are asked for (Karras 2022, EDM). The default.
    /// </summary>
    Karras,

    /// <summary>A thousand steps whose variances rise evenly from 0.0001 to 0.02 (Ho 2020, DDPM).</summary>
    Linear,

    /// <summary>
    /// A thousand steps of which the share of signal that is left falls along a cosine (Nichol and Dhariwal 2021).
    /// </summary>
    Cosine,
}

/// <summary>What the network of a diffusion model tells of a noisy row x = α·x₀ + σ·ε, with α² + σ² = 1.</summary>
public enum PredictionTarget
{
    /// <summary>
    /// v = α·ε − σ·x₀ (Salimans and Ho 2022), which is the data where there is much noise and the noise where there is
    /// little: EDM's preconditioning of rows of unit variance. The default.
    /// </summary>
    Velocity,

    /// <summary>The noise ε (Ho 2020). Where there is much noise, small errors in it are large ones in the data.</summary>
    Noise,

    /// <summary>The data x₀.</summary>
    Sample,
}

/// <summary>
/// The noise levels of a schedule. A level is σ of x = x₀ + σ·ε: the ratio of noise to signal, by which all schedules
/// are told alike. That of a step whose signal is α, in rows of unit variance, is √(1 − α²) / α.
/// </summary>
internal sealed class NoiseLevels
{
    /// <summary>Steps of the schedules that are not continuous.</summary>
    public const int Steps = 1000;

    /// <summary>Of Karras 2022, table 1, in units of the data's deviation, which is ½ there.</summary>
    public static readonly TrainingNoise Karras = new(-0.5, 1.2);

    /// <summary>Lower ones, since rows are scored with little noise.</summary>
    public static readonly TrainingNoise OfDetectors = new(-1.2, 1.2);

    /// <summary>
    /// Karras's for half of the rows. Where a thing is, and of which colour, many pixels tell together, so that noise hides
    /// it only at levels that grow with the root of their number (Hoogeboom 2023, Simple diffusion): there a caption has to
    /// decide it, and one in a hundred of Karras's levels is as high. The other half is spread over all that are above the
    /// data's deviation, whatever the size of the things that captions name.
    /// </summary>
    public static readonly TrainingNoise OfCaptions = Karras with { Spread = 0.5 };

    private const double DataDeviation = 0.5;
    private const double KarrasLeast = 0.002, KarrasMost = 80, KarrasPower = 7;

    private readonly float[]? _levels; // ascending; null for the continuous one

    public NoiseLevels(NoiseSchedule schedule)
    {
        if (schedule == NoiseSchedule.Karras)
        {
            (Least, Most) = ((float)KarrasLeast, (float)KarrasMost);
            return;
        }
        _levels = new float[Steps];
        double signal = 1; // α², the product of 1 − β
        for (int t = 0; t < Steps; t++)
        {
            signal *= 1 - (schedule == NoiseSchedule.Linear ? LinearBeta(t) : CosineBeta(t));
            _levels[t] = (float)Math.Sqrt((1 - signal) / signal);
        }
        (Least, Most) = (_levels[0], _levels[^1]);
    }

    /// <summary>The lowest level, and the highest.</summary>
    public float Least { get; }

    /// <inheritdoc cref="Least"/>
    public float Most { get; }

    /// <summary>Levels for training rows, (rows, 1): those of the schedule's steps alike, and of the continuous one as is said.</summary>
    public torch.Tensor Draw(SeededRandom random, long rows, TrainingNoise noise)
    {
        if (_levels is null)
        {
            torch.Tensor normal = random.Normal([rows, 1], noise.Deviation).Add(noise.Mean).exp().Clamped(Least, Most);
            if (noise.Spread == 0)
                return normal;
            torch.Tensor uniform = random.Uniform([rows, 1], 0, 1 / noise.Spread); // below one in that share
            torch.Tensor spread = uniform.Scaled(Math.Log(Most / DataDeviation)).exp().Scaled(DataDeviation);
            return torch.where(uniform.lt(torch.ones_like(uniform)), spread, normal);
        }
        torch.Tensor steps = random.Uniform([rows], 0, Steps).to(torch.ScalarType.Int64);
        return torch.tensor(_levels, device: random.Device).index_select(0, steps).unsqueeze(1);
    }

    /// <summary>The levels of a sampler's steps, descending; a zero follows the last.</summary>
    public float[] Sampling(int steps)
    {
        var levels = new float[steps + 1];
        for (int i = 0; i < steps; i++)
            levels[i] = _levels is null ? KarrasLevel(steps == 1 ? 0 : i / (steps - 1.0)) : _levels[Steps - 1 - (int)((long)i * Steps / steps)];
        return levels;
    }

    private static float KarrasLevel(double share)
    {
        double most = Math.Pow(KarrasMost, 1 / KarrasPower), least = Math.Pow(KarrasLeast, 1 / KarrasPower);
        return (float)Math.Pow(most + share * (least - most), KarrasPower);
    }

    private static double LinearBeta(int t) => 1e-4 + (0.02 - 1e-4) * t / (Steps - 1);

    private static double CosineBeta(int t)
    {
        return Math.Min(1 - Signal(t + 1) / Signal(t), 0.999);

        static double Signal(int t) => Math.Pow(Math.Cos((t / (double)Steps + 0.008) / 1.008 * Math.PI / 2), 2);
    }
}

/// <summary>
/// What a continuous schedule's levels are drawn from in training: their logarithm is normal, but in a share of the rows
/// spread evenly from the data's deviation to the highest level.
/// </summary>
internal readonly record struct TrainingNoise(double Mean, double Deviation, double Spread = 0);
