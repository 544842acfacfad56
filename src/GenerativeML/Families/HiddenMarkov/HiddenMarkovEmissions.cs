using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>What the states of a hidden Markov model emit. Immutable.</summary>
internal abstract class HiddenMarkovEmissions
{
    /// <summary>Numbers of a step.</summary>
    public abstract int Width { get; }

    /// <summary>Numbers that describe a forecast: features, or the probability of each category.</summary>
    public abstract int ForecastWidth { get; }

    /// <summary>How long what <see cref="Add"/> adds to is.</summary>
    public abstract int SumsLength { get; }

    /// <summary>How often learning held variances at their least; zero: they all are as the data has them.</summary>
    public virtual int Regularized => 0;

    /// <summary>log p(step | state), (K).</summary>
    public abstract void LogProbabilities(ReadOnlySpan<float> step, Span<double> result);

    /// <summary>
    /// Adds what a step says of the states that it is likely to be of, given the shares of each and what
    /// <see cref="LogProbabilities"/> gave.
    /// </summary>
    public abstract void Add(
        ReadOnlySpan<float> step, ReadOnlySpan<double> shares, ReadOnlySpan<double> logs, double[] sums);

    /// <summary>The likeliest emissions by such sums; a state that nothing was counted for stays as it was.</summary>
    public abstract HiddenMarkovEmissions Maximize(double[] sums);

    /// <summary>Draws a step.</summary>
    public abstract void Sample(int state, ref SplitMix64 random, Span<float> step);

    /// <summary>The mean and the variance of what is emitted where states have these probabilities.</summary>
    public abstract void Forecast(ReadOnlySpan<double> states, Span<double> mean, Span<double> variance);
}

/// <summary>Each state emits categories, by probabilities of its own, (K × C).</summary>
internal sealed class CategoricalEmissions(double[] probabilities, int categories, double pseudoCount)
    : HiddenMarkovEmissions
{
    private readonly double[] _byCategory = Transposed(probabilities, categories); // logarithms, (C × K)

    public double[] Probabilities => probabilities;

    public override int Width => 1;

    public override int ForecastWidth => categories;

    public override int SumsLength => probabilities.Length;

    public override void LogProbabilities(ReadOnlySpan<float> step, Span<double> result) =>
        _byCategory.AsSpan((int)step[0] * result.Length, result.Length).CopyTo(result);

    public override void Add(
        ReadOnlySpan<float> step, ReadOnlySpan<double> shares, ReadOnlySpan<double> logs, double[] sums)
    {
        for (int k = 0; k < shares.Length; k++)
            sums[k * categories + (int)step[0]] += shares[k];
    }

    public override HiddenMarkovEmissions Maximize(double[] sums)
    {
        double[] next = [.. probabilities];
        double[] counts = Array.ConvertAll(sums, s => s + pseudoCount);
        for (int at = 0; at < next.Length; at += categories)
            HiddenMarkovSums.Normalize(counts.AsSpan(at, categories), next.AsSpan(at, categories));
        return new CategoricalEmissions(next, categories, pseudoCount);
    }

    public override void Sample(int state, ref SplitMix64 random, Span<float> step) =>
        step[0] = SplitMix64.Choose(probabilities.AsSpan(state * categories, categories), random.NextDouble());

    public override void Forecast(ReadOnlySpan<double> states, Span<double> mean, Span<double> variance)
    {
        mean.Clear();
        for (int k = 0; k < states.Length; k++)
            TensorPrimitives.MultiplyAdd(probabilities.AsSpan(k * categories, categories), states[k], mean, mean);
        for (int c = 0; c < categories; c++)
            variance[c] = mean[c] * (1 - mean[c]);
    }

    private static double[] Transposed(double[] probabilities, int categories)
    {
        int states = probabilities.Length / categories;
        double[] logs = new double[probabilities.Length];
        for (int i = 0; i < logs.Length; i++)
            logs[i % categories * states + i / categories] = Math.Log(probabilities[i]);
        return logs;
    }
}

/// <summary>
/// Each state emits by a mixture of M normal distributions; of one, where M is one. Covariances are held to a least
/// variance in units of each feature's own, in every direction: of all that are allowed, the update is the likeliest
/// one, so that the likelihood does not fall.
/// </summary>
internal sealed class GaussianEmissions : HiddenMarkovEmissions
{
    private const int Few = 8; // that a call takes longer than doing without

    private readonly GaussianLimits _limits;
    private readonly double[] _weights, _means, _covariances; // (K × M), (K × M × D), (K × M × D × D) or (K × M × D)
    private readonly double[] _factors, _inverses, _constants; // L of Σ = L·Lᵀ, L⁻¹, log wₘ − log √|2πΣₘ|
    private readonly int _states, _mixture, _square;

    public GaussianEmissions(
        int states, double[] weights, double[] means, double[] covariances, GaussianLimits limits, int regularized = 0)
    {
        (_states, _weights, _means, _covariances, _limits) = (states, weights, means, covariances, limits);
        int d = Width = limits.Scale.Length;
        (_mixture, _square, Regularized) = (weights.Length / states, limits.Square, regularized);
        (_factors, _inverses) = (new double[covariances.Length], new double[covariances.Length]);
        _constants = new double[weights.Length];
        for (int c = 0; c < weights.Length; c++)
        {
            Span<double> factor = _factors.AsSpan(c * _square, _square), inverse = _inverses.AsSpan(c * _square, _square);
            if (limits.HasMatrices)
            {
                if (!SymmetricMatrix.TryCholesky(covariances.AsSpan(c * _square, _square), d, factor))
                    throw new InvalidOperationException("A covariance matrix is not positive definite.");
                SymmetricMatrix.InvertLower(factor, d, inverse);
            }
            else
            {
                TensorPrimitives.Sqrt(covariances.AsSpan(c * _square, _square), factor);
                TensorPrimitives.Reciprocal<double>(factor, inverse);
            }
            double log = Math.Log(weights[c]) - d * 0.5 * Math.Log(2 * Math.PI);
            for (int j = 0; j < d; j++)
                log -= Math.Log(factor[limits.HasMatrices ? j * d + j : j]);
            _constants[c] = log;
        }
    }

    public override int Width { get; }

    public override int ForecastWidth => Width;

    public override int SumsLength => _weights.Length * (1 + Width + _square);

    public override int Regularized { get; }

    /// <summary>Whether covariances are matrices, or variances alone.</summary>
    public bool HasMatrices => _limits.HasMatrices;

    public double[] Weights => _weights;

    public double[] Means => _means;

    public double[] Covariances => _covariances;

    /// <summary>
    /// Of each component what makes features standard normal, around a centre, L⁻¹ and L⁻¹·(μ − centre), and the logarithm of
    /// its weight and scale.
    /// </summary>
    public (double[] Inverses, double[] Shifts, double[] Constants) Whitening(double[] centre)
    {
        double[] shifts = new double[_means.Length];
        for (int i = 0; i < shifts.Length; i++)
        {
            (int c, int j) = Math.DivRem(i, Width);
            if (!HasMatrices)
                shifts[i] = _inverses[i] * (_means[i] - centre[j]);
            for (int k = 0; HasMatrices && k <= j; k++)
                shifts[i] += _inverses[c * _square + j * Width + k] * (_means[c * Width + k] - centre[k]);
        }
        return (_inverses, shifts, _constants);
    }

    public override void LogProbabilities(ReadOnlySpan<float> step, Span<double> result)
    {
        Span<double> logs = _mixture <= 64 ? stackalloc double[_mixture] : new double[_mixture];
        Span<double> away = Width <= 256 ? stackalloc double[Width] : new double[Width];
        for (int k = 0; k < _states; k++)
        {
            for (int m = 0; m < _mixture; m++)
                logs[m] = LogComponent(k * _mixture + m, step, away);
            result[k] = _mixture == 1 ? logs[0] : HiddenMarkovModel.LogSum(logs);
        }
    }

    public override void Add(
        ReadOnlySpan<float> step, ReadOnlySpan<double> shares, ReadOnlySpan<double> logs, double[] sums)
    {
        Span<double> away = Width <= 256 ? stackalloc double[Width] : new double[Width];
        for (int k = 0; k < _states; k++)
        {
            // Less than this does not change a sum.
            for (int m = 0; shares[k] > 1e-15 && m < _mixture; m++)
            {
                int c = k * _mixture + m;
                double share = _mixture == 1 ? shares[k] : shares[k] * Math.Exp(LogComponent(c, step, away) - logs[k]);
                AddTo(c, step, share, sums);
            }
        }
    }

    /// <summary>Adds a share of a step to one component.</summary>
    public void AddTo(int component, ReadOnlySpan<float> step, double share, double[] sums)
    {
        int d = Width;
        Span<double> own = sums.AsSpan(component * (1 + d + _square), 1 + d + _square);
        Span<double> away = d <= 256 ? stackalloc double[d] : new double[d];
        own[0] += share;
        for (int j = 0; j < d; j++)
            away[j] = step[j] - _means[component * d + j];
        for (int j = 0; j < d; j++)
            own[1 + j] += share * away[j];
        Span<double> squares = own[(1 + d)..];
        if (!_limits.HasMatrices)
        {
            for (int j = 0; j < d; j++)
                squares[j] += share * away[j] * away[j];
            return;
        }
        for (int i = 0; i < d && i < Few; i++) // the lower half
        {
            double factor = share * away[i];
            for (int j = 0; j <= i; j++)
                squares[i * d + j] += factor * away[j];
        }
        for (int i = Few; i < d; i++)
            TensorPrimitives.MultiplyAdd(away[..(i + 1)], share * away[i], squares.Slice(i * d, i + 1), squares.Slice(i * d, i + 1));
    }

    public override HiddenMarkovEmissions Maximize(double[] sums)
    {
        int d = Width, components = _weights.Length, regularized = 0;
        double[] weights = [.. _weights], means = [.. _means], covariances = [.. _covariances];
        double[] shared = new double[_square], counts = new double[components];
        for (int c = 0; c < components; c++)
        {
            ReadOnlySpan<double> own = sums.AsSpan(c * (1 + d + _square), 1 + d + _square);
            double count = counts[c] = own[0];
            if (count < 1e-12)
                continue;
            Span<double> covariance = covariances.AsSpan(c * _square, _square);
            for (int i = 0; i < d; i++)
            {
                double step = own[1 + i] / count;
                means[c * d + i] += step;
                if (!_limits.HasMatrices)
                    covariance[i] = own[1 + d + i] / count - step * step;
                for (int j = 0; _limits.HasMatrices && j <= i; j++)
                {
                    covariance[i * d + j] = covariance[j * d + i] =
                        own[1 + d + i * d + j] / count - step * (own[1 + j] / count);
                }
            }
            if (_limits.Type == CovarianceType.Tied)
                TensorPrimitives.MultiplyAdd(covariance, count, shared, shared);
            else if (_limits.Apply(covariance))
                regularized++;
        }
        for (int k = 0; k < _states; k++)
            HiddenMarkovSums.Normalize(counts.AsSpan(k * _mixture, _mixture), weights.AsSpan(k * _mixture, _mixture));
        if (_limits.Type == CovarianceType.Tied && counts.Sum() is > 0 and double all)
        {
            TensorPrimitives.Divide(shared, all, shared);
            regularized += _limits.Apply(shared) ? 1 : 0;
            for (int c = 0; c < components; c++)
                shared.CopyTo(covariances, c * _square);
        }
        return new GaussianEmissions(_states, weights, means, covariances, _limits, regularized);
    }

    public override void Sample(int state, ref SplitMix64 random, Span<float> step)
    {
        int c = state * _mixture + SplitMix64.Choose(_weights.AsSpan(state * _mixture, _mixture), random.NextDouble()), d = Width;
        Span<float> normal = new float[d];
        NormalNumbers.Fill(ref random, normal);
        for (int i = 0; i < d; i++)
        {
            double value = _means[c * d + i];
            if (_limits.HasMatrices)
            {
                for (int j = 0; j <= i; j++)
                    value += _factors[c * _square + i * d + j] * normal[j];
            }
            else
            {
                value += _factors[c * _square + i] * normal[i];
            }
            step[i] = (float)value;
        }
    }

    public override void Forecast(ReadOnlySpan<double> states, Span<double> mean, Span<double> variance)
    {
        int d = Width;
        for (int j = 0; j < d; j++)
        {
            double first = 0, second = 0;
            for (int c = 0; c < _weights.Length; c++)
                first += states[c / _mixture] * _weights[c] * _means[c * d + j];
            for (int c = 0; c < _weights.Length; c++)
            {
                double away = _means[c * d + j] - first;
                double own = _covariances[c * _square + (_limits.HasMatrices ? j * d + j : j)];
                second += states[c / _mixture] * _weights[c] * (own + away * away);
            }
            (mean[j], variance[j]) = (first, second);
        }
    }

    // log wₘ N(x | μₘ, Σₘ).
    private double LogComponent(int c, ReadOnlySpan<float> step, Span<double> away)
    {
        int d = Width;
        double distance = 0;
        ReadOnlySpan<double> inverse = _inverses.AsSpan(c * _square, _square);
        for (int j = 0; j < d; j++)
            away[j] = step[j] - _means[c * d + j];
        for (int i = 0; i < d; i++)
        {
            double white = 0;
            if (!_limits.HasMatrices)
                white = inverse[i] * away[i];
            else if (i >= Few)
                white = TensorPrimitives.Dot(inverse.Slice(i * d, i + 1), away[..(i + 1)]);
            for (int j = 0; _limits.HasMatrices && i < Few && j <= i; j++)
                white += inverse[i * d + j] * away[j];
            distance += white * white;
        }
        return _constants[c] - 0.5 * distance;
    }
}

/// <summary>Which covariances are allowed.</summary>
/// <param name="Type">Their shape.</param>
/// <param name="Scale">The deviation of each feature over all steps; one for a constant feature.</param>
/// <param name="Least">The least variance in any direction where features are scaled by that.</param>
internal sealed record GaussianLimits(CovarianceType Type, double[] Scale, double Least)
{
    public bool HasMatrices => Type is CovarianceType.Full or CovarianceType.Tied;

    /// <summary>Numbers of a covariance.</summary>
    public int Square => HasMatrices ? Scale.Length * Scale.Length : Scale.Length;

    /// <summary>
    /// Turns what was measured into the likeliest covariance that is allowed, in place; says whether it had to be
    /// raised. That is done by clipping eigenvalues.
    /// </summary>
    public bool Apply(Span<double> covariance)
    {
        int d = Scale.Length;
        bool raised = false;
        if (HasMatrices)
        {
            for (int i = 0; i < d * d; i++)
                covariance[i] /= Scale[i / d] * Scale[i % d];
            raised = SymmetricMatrix.ClipEigenvalues(covariance, d, Least);
            for (int i = 0; i < d * d; i++)
                covariance[i] *= Scale[i / d] * Scale[i % d];
            return raised;
        }
        double mean = 0;
        for (int i = 0; i < d; i++)
            mean += covariance[i] / (Scale[i] * Scale[i]) / d;
        for (int i = 0; i < d; i++)
        {
            double square = Scale[i] * Scale[i];
            double variance = Type == CovarianceType.Spherical ? mean : covariance[i] / square;
            raised |= variance < Least;
            covariance[i] = Math.Max(variance, Least) * square;
        }
        return raised;
    }
}
