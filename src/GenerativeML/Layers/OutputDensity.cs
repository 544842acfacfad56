namespace GenerativeML;

/// <summary>
/// What the last layer of a network says of D numbers: the parameters of a density of them. Immutable; holds no weights.
/// </summary>
internal abstract class OutputDensity(int features)
{
    /// <summary>Numbers that the density is of, D.</summary>
    public int Features => features;

    /// <summary>Parameters of a density, P: as many outputs the network's last layer has.</summary>
    public abstract int Width { get; }

    /// <summary>log p(x), or log P(x) of zeros and ones: (N, P) and (N, D) → (N, 1).</summary>
    public abstract T LogDensity<T>(T parameters, T x)
        where T : struct, ITensor<T>;

    /// <summary>
    /// Draws x, (D), by parameters, (P). At a temperature τ below one draws are nearer to the likeliest: logits are
    /// divided by τ, and variances multiplied (Ha and Eck 2017).
    /// </summary>
    public abstract void Sample(ReadOnlySpan<float> parameters, ref SplitMix64 random, Span<float> x, double temperature = 1);

    /// <summary>E[x], (D), by parameters, (P).</summary>
    public abstract void Mean(ReadOnlySpan<float> parameters, Span<float> mean);
}

/// <summary>
/// A mixture of K normal distributions of D numbers (Bishop 1994), each with deviations of its own and, on request, with
/// correlations. Parameters are: K logits, K·D means, K·D numbers whose softplus, with the least deviation added, is a
/// deviation; and if features are correlated, for each component D·(D − 1)/2 numbers a: with d = (x − μ)/σ feature by
/// feature, row i of what is standard normal is dᵢ + Σⱼ₍ⱼ﹤ᵢ₎ aᵢⱼ·dⱼ, so that σᵢ is the deviation of feature i given those
/// before it. Unlike a correlation ρ, no a is out of range, and no density divides by 1 − ρ².
/// </summary>
/// <param name="features">D.</param>
/// <param name="components">K.</param>
/// <param name="correlated">Whether the features of a component are correlated.</param>
/// <param name="leastDeviation">The least σ, which keeps a component from shrinking to a point of infinite density.</param>
internal sealed class MixtureDensity(int features, int components, bool correlated = false, float leastDeviation = 1e-3f)
    : OutputDensity(features)
{
    private readonly int _pairs = correlated ? features * (features - 1) / 2 : 0;

    /// <summary>K.</summary>
    public int Components => components;

    public override int Width => components * (1 + 2 * Features + _pairs);

    private int Means => components;

    private int Deviations => components * (1 + Features);

    private int Factors => components * (1 + 2 * Features);

    public override T LogDensity<T>(T parameters, T x)
    {
        int d = Features;
        T logits = parameters.Slice(1, 0, components);
        T mu = parameters.Slice(1, Means, components * d).Reshape(-1, components, d);
        T sigma = parameters.Slice(1, Deviations, components * d).Reshape(-1, components, d).Apply(Function.Softplus) + leastDeviation;
        T away = (x.Reshape(-1, 1, d) - mu) / sigma, white = away; // (N, K, D)
        if (_pairs > 0)
        {
            T factors = parameters.Slice(1, Factors, components * _pairs).Reshape(-1, components, _pairs);
            var rows = new T[d];
            for (int i = 0, pair = 0; i < d; pair += i++)
            {
                rows[i] = away.Slice(2, i, 1);
                if (i > 0)
                    rows[i] += (factors.Slice(2, pair, i) * away.Slice(2, 0, i)).Reduce(Reduction.Sum, 2);
            }
            white = T.Concat(2, rows);
        }
        T log = (white.Apply(Function.Square) * -0.5f - sigma.Apply(Function.Log)).Reduce(Reduction.Sum, 2).Reshape(-1, components);
        log = log + (float)(-0.5 * d * Math.Log(2 * Math.PI)) + logits;
        return log.LogSumExp(1) - logits.LogSumExp(1);
    }

    public override void Sample(ReadOnlySpan<float> parameters, ref SplitMix64 random, Span<float> x, double temperature = 1)
    {
        int k = Choose(parameters[..components], random.NextDouble(), temperature), d = Features;
        Span<float> normal = d <= 64 ? stackalloc float[d] : new float[d], away = d <= 64 ? stackalloc float[d] : new float[d];
        NormalNumbers.Fill(ref random, normal);
        float scale = (float)Math.Sqrt(temperature);
        for (int i = 0, pair = Factors + k * _pairs; i < d; pair += _pairs > 0 ? i : 0, i++)
        {
            away[i] = scale * normal[i];
            for (int j = 0; _pairs > 0 && j < i; j++)
                away[i] -= parameters[pair + j] * away[j];
            x[i] = parameters[Means + k * d + i] + Deviation(parameters, k, i) * away[i];
        }
    }

    public override void Mean(ReadOnlySpan<float> parameters, Span<float> mean)
    {
        mean.Clear();
        Span<double> weights = components <= 64 ? stackalloc double[components] : new double[components];
        Weights(parameters[..components], 1, weights);
        for (int k = 0; k < components; k++)
        {
            for (int i = 0; i < Features; i++)
                mean[i] += (float)(weights[k] * parameters[Means + k * Features + i]);
        }
    }

    /// <summary>The deviation σ of a feature in a component, given the features before it.</summary>
    public float Deviation(ReadOnlySpan<float> parameters, int component, int feature)
    {
        float raw = parameters[Deviations + component * Features + feature];
        return Math.Max(raw, 0) + MathF.Log(1 + MathF.Exp(-Math.Abs(raw))) + leastDeviation;
    }

    /// <summary>The weight of each component, (K), by logits divided by a temperature.</summary>
    public static void Weights(ReadOnlySpan<float> logits, double temperature, Span<double> weights)
    {
        float most = System.Numerics.Tensors.TensorPrimitives.Max(logits);
        double sum = 0;
        for (int k = 0; k < logits.Length; k++)
            sum += weights[k] = Math.Exp((logits[k] - most) / temperature);
        for (int k = 0; k < logits.Length; k++)
            weights[k] /= sum;
    }

    /// <summary>The component, or any other choice by logits, that a uniform number in [0, 1) falls on.</summary>
    public static int Choose(ReadOnlySpan<float> logits, double uniform, double temperature)
    {
        Span<double> weights = logits.Length <= 64 ? stackalloc double[logits.Length] : new double[logits.Length];
        Weights(logits, temperature, weights);
        return SplitMix64.Choose(weights, uniform);
    }
}

/// <summary>D zeros and ones, each by a logit of its own, as the keys of a piano that are pressed.</summary>
internal sealed class BernoulliDensity(int features) : OutputDensity(features)
{
    public override int Width => Features;

    // log σ(l) = l − softplus(l), and log(1 − σ(l)) = −softplus(l).
    public override T LogDensity<T>(T parameters, T x) =>
        (x * parameters - parameters.Apply(Function.Softplus)).Reduce(Reduction.Sum, 1);

    public override void Sample(ReadOnlySpan<float> parameters, ref SplitMix64 random, Span<float> x, double temperature = 1)
    {
        for (int i = 0; i < Features; i++)
            x[i] = random.NextDouble() < Sigmoid(parameters[i] / temperature) ? 1 : 0;
    }

    public override void Mean(ReadOnlySpan<float> parameters, Span<float> mean)
    {
        for (int i = 0; i < Features; i++)
            mean[i] = (float)Sigmoid(parameters[i]);
    }

    private static double Sigmoid(double logit) => 1 / (1 + Math.Exp(-logit));
}
