using System.Numerics;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>
/// What <see cref="VaeModel"/> says of single slots, for rows in managed memory. Spans are whole vectors long; what lies
/// behind the slots counts for nothing.
/// </summary>
internal sealed class VaeSlots
{
    private readonly RowScale _scale;
    private readonly float[] _bernoulli, _binary; // (stride), one or zero
    private readonly float[] _counts; // (stride), one for a Gaussian slot that is not constant
    private readonly float[] _precision, _constant; // (stride), of Gaussian slots: their loss is precision·(t − d)² + constant
    private readonly float[] _logScale; // (stride), the logarithm of one over the deviation
    private readonly float[] _mean, _deviation; // (stride); what a sample deviates by

    public VaeSlots(HostWeights weights, RowScale scale)
    {
        _scale = scale;
        _bernoulli = Padded("bernoulli");
        _binary = Padded("binary");
        _mean = Padded("input_mean");
        float[] inverse = weights["input_scale"], logVariance = weights["network.output_log_variance"];
        _counts = new float[scale.Stride];
        _precision = new float[scale.Stride];
        _constant = new float[scale.Stride];
        _logScale = new float[scale.Stride];
        _deviation = new float[scale.Stride];
        for (int j = 0; j < scale.Width; j++)
        {
            double log = Math.Max(logVariance[j], VaeNetwork.LeastLogVariance);
            _deviation[j] = (float)Math.Exp(0.5 * log);
            if (_bernoulli[j] > 0 || !(inverse[j] > 0))
                continue;
            _counts[j] = 1;
            _precision[j] = (float)(0.5 * Math.Exp(-log));
            _constant[j] = (float)(0.5 * (log + Math.Log(2 * Math.PI)));
            _logScale[j] = (float)Math.Log(inverse[j]);
        }
        HasBernoulli = _bernoulli.Any(b => b > 0);

        float[] Padded(string name)
        {
            var padded = new float[scale.Stride];
            weights[name].CopyTo(padded, 0);
            return padded;
        }
    }

    /// <summary>Whether any slot is Bernoulli.</summary>
    public bool HasBernoulli { get; }

    /// <summary>What the decoder has to give for a row, of which the encoder sees z.</summary>
    public void Target(ReadOnlySpan<float> row, ReadOnlySpan<float> z, Span<float> target)
    {
        for (int i = 0; i < target.Length; i += Vector<float>.Count)
            Choose(i, Share(Load(row, i)), Load(z, i)).CopyTo(target[i..]);
    }

    /// <summary>The negative log-likelihood of a target given what the decoder gave, in nats, over all slots.</summary>
    public float Loss(ReadOnlySpan<float> target, ReadOnlySpan<float> decoded)
    {
        Vector<float> sum = Vector<float>.Zero;
        for (int i = 0; i < target.Length; i += Vector<float>.Count)
            sum += LossAt(i, Load(target, i), Load(decoded, i));
        return Vector.Sum(sum);
    }

    /// <summary>What has to be added to <see cref="Loss"/> to speak of the row in the units of the data.</summary>
    public float Correction(ReadOnlySpan<float> row, ReadOnlySpan<float> z)
    {
        Vector<float> sum = Vector<float>.Zero;
        for (int i = 0; i < z.Length; i += Vector<float>.Count)
            sum += CorrectionAt(i, Load(row, i), Load(z, i));
        return Vector.Sum(sum);
    }

    /// <summary>The negative log-likelihood of each slot of a row, in nats and the units of the data.</summary>
    public void Score(
        ReadOnlySpan<float> row, ReadOnlySpan<float> z, ReadOnlySpan<float> target, ReadOnlySpan<float> decoded,
        Span<float> slots)
    {
        for (int i = 0; i < slots.Length; i += Vector<float>.Count)
        {
            Vector<float> loss = LossAt(i, Load(target, i), Load(decoded, i));
            (loss + CorrectionAt(i, Load(row, i), Load(z, i))).CopyTo(slots[i..]);
        }
    }

    /// <summary>By how many nats each slot is less likely than if the decoder had given just the row.</summary>
    public void Excess(
        ReadOnlySpan<float> row, ReadOnlySpan<float> target, ReadOnlySpan<float> decoded, Span<float> slots)
    {
        for (int i = 0; i < slots.Length; i += Vector<float>.Count)
        {
            Vector<float> t = Load(target, i), d = Load(decoded, i), difference = t - d;
            Vector<float> excess = difference * difference * Load(_precision, i);
            if (HasBernoulli)
                excess = Choose(i, CrossEntropy(t, d) + Surprise(Load(row, i)), excess);
            Vector.Max(excess, Vector<float>.Zero).CopyTo(slots[i..]);
        }
    }

    /// <summary>What the encoder would see of the row that the decoder expects.</summary>
    public void Seen(ReadOnlySpan<float> decoded, Span<float> z)
    {
        for (int i = 0; i < z.Length; i += Vector<float>.Count)
        {
            Vector<float> d = Load(decoded, i);
            Choose(i, Sigmoid(d) - Load(_mean, i), d * Load(_counts, i)).CopyTo(z[i..]);
        }
    }

    /// <summary>What the decoder gave as expected values in the units of the data.</summary>
    /// <param name="decoded">At least as long as a row.</param>
    /// <param name="row">(slots).</param>
    public void Expected(ReadOnlySpan<float> decoded, Span<float> row)
    {
        _scale.Undo(decoded, row);
        for (int j = 0; j < row.Length && HasBernoulli; j++)
        {
            if (_bernoulli[j] > 0)
                row[j] = Sigmoid(new Vector<float>(decoded[j]))[0];
        }
    }

    /// <summary>
    /// A row drawn by what the decoder gave, in the units of the data. A Bernoulli slot that held other values than
    /// zero and one in the training rows gets its expected value.
    /// </summary>
    /// <param name="decoded">(slots): replaced.</param>
    /// <param name="random">What it is drawn from.</param>
    /// <param name="row">(slots).</param>
    public void Sample(Span<float> decoded, ref SplitMix64 random, Span<float> row)
    {
        NormalNumbers.Fill(ref random, row);
        for (int j = 0; j < row.Length; j++)
        {
            if (_bernoulli[j] == 0)
                decoded[j] += row[j] * _deviation[j];
        }
        Expected(decoded, row);
        for (int j = 0; j < row.Length && HasBernoulli; j++)
        {
            if (_bernoulli[j] > 0 && _binary[j] > 0)
                row[j] = random.NextDouble() < row[j] ? 1 : 0;
        }
    }

    private Vector<float> LossAt(int i, Vector<float> target, Vector<float> decoded)
    {
        Vector<float> difference = target - decoded;
        Vector<float> gaussian = difference * difference * Load(_precision, i) + Load(_constant, i);
        return HasBernoulli ? Choose(i, CrossEntropy(target, decoded), gaussian) : gaussian;
    }

    private Vector<float> CorrectionAt(int i, Vector<float> row, Vector<float> z)
    {
        // Beyond the linear range, the derivative falls with the distance.
        Vector<float> beyond = Vector.Min(
            Vector.Max(Vector.Abs(z) - new Vector<float>(RobustScale.Linear), Vector<float>.Zero),
            new(RobustScale.MostBeyond));
        Vector<float> gaussian = (beyond - Load(_logScale, i)) * Load(_counts, i);
        return HasBernoulli ? Choose(i, Surprise(row), gaussian) : gaussian;
    }

    private Vector<float> Choose(int i, Vector<float> bernoulli, Vector<float> gaussian) =>
        Vector.ConditionalSelect(Vector.GreaterThan(Load(_bernoulli, i), Vector<float>.Zero), bernoulli, gaussian);

    /// <summary>What lies outside [0, 1], less the entropy of what lies within.</summary>
    private static Vector<float> Surprise(Vector<float> row)
    {
        Vector<float> share = Share(row);
        return Vector.Abs(row - share) * VaeModel.Outside + Part(share) + Part(Vector<float>.One - share);

        static Vector<float> Part(Vector<float> p) => p * Vector.Log(Vector.Max(p, new(VaeModel.Tiny)));
    }

    private static Vector<float> Share(Vector<float> row) =>
        Vector.Min(Vector.Max(row, Vector<float>.Zero), Vector<float>.One);

    // log(1 + eᵈ) − t·d.
    private static Vector<float> CrossEntropy(Vector<float> target, Vector<float> decoded) =>
        Vector.Max(decoded, Vector<float>.Zero)
        + Vector.Log(Vector<float>.One + Exponential.Of(-Vector.Abs(decoded))) - target * decoded;

    private static Vector<float> Sigmoid(Vector<float> x) =>
        Vector<float>.One / (Vector<float>.One + Exponential.Of(-x));

    private static Vector<float> Load(ReadOnlySpan<float> values, int at) => new(values[at..]);
}
