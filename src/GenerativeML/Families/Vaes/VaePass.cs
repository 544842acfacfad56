namespace GenerativeML;

/// <summary>Some rows on their way through a VAE.</summary>
internal ref struct VaePass
{
    // Rows that are decoded together where each has several codes.
    private const int MostDecoded = 48;

    // Nats that each slot counts more when what belongs to no slot is shared out: there must be something to share by.
    private const float LeastExcess = VaeEvidence.LeastExcess;

    private readonly VaeParts _parts;
    private readonly int _rows, _width, _latent, _stride;
    private readonly bool _bernoulli;
    private readonly Span<float> _x; // (rows × InputStride), what the encoder sees
    private readonly Span<float> _raw, _target; // (rows × stride), where a slot is Bernoulli
    private readonly Span<float> _code; // (rows × Code.Stride), mean, then logarithm of the variance
    private readonly Span<float> _deviation; // (rows × Z)
    private readonly Span<float> _hidden, _buffer; // (rows × Encoder.Width)
    private readonly Span<float> _input; // (MostDecoded or rows × CodeStride)
    private readonly Span<float> _first, _second; // (MostDecoded or rows × Decoder.Width)
    private readonly Span<float> _slots; // (stride)
    private readonly Span<float> _rest; // what novelty needs
    private Span<float> _last; // (rows × _lastStride), the encoder's last hidden layer
    private int _lastStride;
    private Span<float> _decoded; // (rows × Decoder.Stride), of the mean codes

    public VaePass(VaeParts parts, Scratch scratch, int rows)
    {
        (_parts, _rows, _stride) = (parts, rows, parts.Scale.Stride);
        (_width, _latent) = (parts.Shape.InputWidth, parts.Shape.LatentDimension);
        _bernoulli = parts.Slots.HasBernoulli;
        int hidden = rows * (parts.Encoder?.Width ?? 0), decoded = Decoded(rows, parts);
        _x = scratch.Take(rows * parts.InputStride);
        _raw = scratch.Take(_bernoulli ? rows * _stride : 0);
        _target = scratch.Take(_bernoulli ? rows * _stride : 0);
        _code = scratch.Take(rows * parts.Code.Width);
        _deviation = scratch.Take(rows * _latent);
        _hidden = scratch.Take(hidden);
        _buffer = scratch.Take(hidden);
        _input = scratch.Take(decoded * parts.CodeStride);
        _first = scratch.Take(decoded * parts.Decoder.Width);
        _second = scratch.Take(decoded * parts.Decoder.Width);
        _slots = scratch.Take(_stride);
        _rest = scratch.Rest();
    }

    /// <summary>Numbers of scratch memory for so many rows.</summary>
    public static int ScratchLength(VaeParts parts, int rows, bool novelty)
    {
        int bernoulli = parts.Slots.HasBernoulli ? 2 * parts.Scale.Stride : 0;
        int encoder = 2 * (parts.Encoder?.Width ?? 0);
        int length = rows * (parts.InputStride + bernoulli + parts.Code.Width + parts.Shape.LatentDimension + encoder)
            + Decoded(rows, parts) * (parts.CodeStride + 2 * parts.Decoder.Width) + parts.Scale.Stride;
        return novelty
            ? length + rows * (3 * parts.InputStride + encoder) + parts.Stored!.ScratchLength(rows)
            : length;
    }

    /// <summary>Reads rows and conditions from a block, from a row on.</summary>
    public readonly void Read(RowBlock block, int first)
    {
        for (int r = 0; r < _rows; r++)
        {
            ReadOnlySpan<float> row = block.SingleRow(0, first + r);
            Span<float> x = _x.Slice(r * _parts.InputStride, _parts.InputStride);
            x.Clear();
            _parts.Scale.Apply(row, x[.._stride]);
            if (_bernoulli)
            {
                Span<float> raw = _raw.Slice(r * _stride, _stride);
                row.CopyTo(raw);
                raw[_width..].Clear();
                _parts.Slots.Target(raw, x[.._stride], _target.Slice(r * _stride, _stride));
            }
            int at = _width;
            for (int f = 1; f < block.Fields.Count; f++)
            {
                block.SingleRow(f, first + r).CopyTo(x[at..]);
                at += block.Fields[f].Width;
            }
            _parts.ConditionScale?.Apply(x[_width..at], x.Slice(_width, _parts.ConditionScale.Stride));
        }
    }

    /// <summary>Finds the rows' codes.</summary>
    public void Encode()
    {
        _last = Hidden(_x, _hidden, _buffer);
        _lastStride = _parts.Encoder?.Stride ?? _parts.InputStride;
        // One layer, so that it takes one buffer.
        _parts.Code.Apply(_last, _lastStride, _rows, _code, []);
        for (int r = 0; r < _rows; r++)
        {
            foreach (ref float log in _code.Slice(r * _parts.Code.Stride + _latent, _latent))
                log = Math.Clamp(log, -VaeNetwork.CodeLogVariance, VaeNetwork.CodeLogVariance);
        }
    }

    /// <summary>The mean of a row's code, (Z).</summary>
    public readonly ReadOnlySpan<float> Mean(int row) => _code.Slice(row * _parts.Code.Stride, _latent);

    /// <summary>The deviation of a row's code, (Z).</summary>
    public readonly void Deviation(int row, Span<float> deviation)
    {
        ReadOnlySpan<float> logVariance = LogVariance(row);
        for (int i = 0; i < deviation.Length; i++)
            deviation[i] = MathF.Exp(0.5f * logVariance[i]);
    }

    /// <summary>Decodes the means of the codes.</summary>
    public void DecodeMeans()
    {
        for (int r = 0; r < _rows; r++)
        {
            Span<float> input = Input(r, r);
            Mean(r).CopyTo(input);
        }
        _decoded = _parts.Decoder.Apply(_input, _parts.CodeStride, _rows, _first, _second);
    }

    /// <summary>What the decoder gave for the mean of a row's code.</summary>
    public readonly ReadOnlySpan<float> Decoded(int row) => _decoded.Slice(row * _parts.Decoder.Stride, _stride);

    /// <summary>
    /// Writes the rows' negative log-likelihoods given the means of their codes, in nats, and of each slot, if wanted.
    /// </summary>
    public readonly void Reconstruction(Span<float> score, Span<float> slots)
    {
        for (int r = 0; r < _rows; r++)
        {
            _parts.Slots.Score(Raw(r), Z(r), Target(r), Decoded(r), _slots);
            if (!score.IsEmpty)
                score[r] = VectorSum.Of(_slots);
            if (!slots.IsEmpty)
                _slots[.._width].CopyTo(slots[(r * _width)..]);
        }
    }

    /// <summary>Writes −log p(x), as <see cref="VaeScoring.NegativeLogLikelihood"/> estimates it.</summary>
    public readonly void NegativeLogLikelihood(Span<float> score)
    {
        int samples = _parts.Shape.ScoreSamples, together = Math.Min(samples, MostDecoded);
        int group = MostDecoded / together; // rows whose codes are decoded together
        Span<double> ratios = stackalloc double[MostDecoded], most = stackalloc double[group], sum = stackalloc double[group];
        for (int from = 0; from < _rows; from += group)
        {
            int rows = Math.Min(group, _rows - from);
            for (int r = 0; r < rows; r++)
                Deviation(from + r, _deviation.Slice((from + r) * _latent, _latent));
            // log Σ eʷ of all draws so far, kept as the largest w and the sum relative to it.
            most.Fill(double.NegativeInfinity);
            sum.Clear();
            for (int first = 0; first < samples; first += together)
            {
                int count = Math.Min(together, samples - first);
                for (int i = 0; i < rows * count; i++)
                    ratios[i] = DrawCode(from + i / count, first + i % count, Input(i, from + i / count));
                Span<float> decoded = _parts.Decoder.Apply(_input, _parts.CodeStride, rows * count, _first, _second);
                for (int i = 0; i < rows * count; i++)
                {
                    // log p(x|z) + log p(z) − log q(z|x), less what all have in common.
                    int r = i / count;
                    double weight = ratios[i] - _parts.Slots.Loss(
                        Target(from + r), decoded.Slice(i * _parts.Decoder.Stride, _stride));
                    if (weight > most[r])
                        (most[r], sum[r]) = (weight, sum[r] * Math.Exp(most[r] - weight) + 1);
                    else
                        sum[r] += Math.Exp(weight - most[r]);
                }
            }
            for (int r = 0; r < rows; r++)
            {
                double common = _parts.Slots.Correction(Raw(from + r), Z(from + r));
                score[from + r] = (float)(Math.Log(samples) - most[r] - Math.Log(sum[r]) + common);
            }
        }
    }

    /// <summary>Writes <see cref="VaeScore.Novelty"/>, and each slot's share of it, if wanted.</summary>
    public readonly void Novelty(Span<float> score, Span<float> slots)
    {
        int hidden = _rows * (_parts.Encoder?.Width ?? 0), inputs = _rows * _parts.InputStride;
        Span<float> seen = _rest[..inputs], near = _rest.Slice(inputs, inputs), far = _rest.Slice(2 * inputs, inputs);
        Span<float> rest = _rest[(3 * inputs)..];
        _x.CopyTo(seen);
        for (int r = 0; r < _rows; r++)
        {
            // Behind the slots are the conditions.
            _parts.Slots.Seen(Decoded(r), _slots);
            _slots[.._width].CopyTo(seen[(r * _parts.InputStride)..]);
        }
        Span<float> again = Hidden(seen, rest[..hidden], rest.Slice(hidden, hidden));
        _parts.Stored!.Compare(_x, _parts.InputStride, _rows, near, far, rest[(2 * hidden)..]);
        float[] weight = _parts.PartWeight;
        for (int r = 0; r < _rows; r++)
        {
            _parts.Slots.Excess(Raw(r), Target(r), Decoded(r), _slots);
            ReadOnlySpan<float> close = near.Slice(r * _parts.InputStride, _stride);
            ReadOnlySpan<float> wide = far.Slice(r * _parts.InputStride, _stride);
            int units = _parts.UnitWeight.Length;
            float difference = SquaredDifference.WeightedSum(
                _parts.UnitWeight, _last.Slice(r * _lastStride, units), again.Slice(r * _lastStride, units));
            float kl = KlDivergence(r), excess = VectorSum.Of(_slots);
            if (!score.IsEmpty)
            {
                score[r] = weight[0] * (excess + kl) + weight[1] * difference + weight[2] * VectorSum.Of(close)
                    + weight[3] * VectorSum.Of(wide);
            }
            if (slots.IsEmpty)
                continue;
            // What belongs to the row as a whole is shared out by the slots' excess.
            float whole = (kl * weight[0] + difference * weight[1]) / (excess + _width * LeastExcess);
            Span<float> shares = slots.Slice(r * _width, _width);
            for (int j = 0; j < shares.Length; j++)
            {
                shares[j] = _slots[j] * weight[0] + (_slots[j] + LeastExcess) * whole + close[j] * weight[2]
                    + wide[j] * weight[3];
            }
        }
    }

    private static int Decoded(int rows, VaeParts parts) =>
        Math.Max(rows, Math.Min(MostDecoded, rows * parts.Shape.ScoreSamples));

    private readonly Span<float> Hidden(Span<float> x, Span<float> first, Span<float> second) =>
        _parts.Encoder is null ? x : _parts.Encoder.Apply(x, _parts.InputStride, _rows, first, second);

    /// <summary>A row of the decoder's input, with the conditions of a row of ours behind the code.</summary>
    private readonly Span<float> Input(int place, int row)
    {
        Span<float> input = _input.Slice(place * _parts.CodeStride, _parts.CodeStride);
        _x.Slice(row * _parts.InputStride + _width, input.Length - _latent).CopyTo(input[_latent..]);
        return input;
    }

    /// <summary>Draws a code, and gives log p(z) − log q(z|x), less what codes of the row have in common.</summary>
    private readonly double DrawCode(int row, int draw, Span<float> code)
    {
        ReadOnlySpan<float> mean = Mean(row), logVariance = LogVariance(row);
        ReadOnlySpan<float> deviation = _deviation.Slice(row * _latent, _latent);
        ReadOnlySpan<float> drawn = _parts.Draws.AsSpan(draw * _latent, _latent);
        double ratio = 0;
        for (int i = 0; i < drawn.Length; i++)
        {
            code[i] = mean[i] + deviation[i] * drawn[i];
            ratio += 0.5 * (drawn[i] * drawn[i] - code[i] * code[i] + logVariance[i]);
        }
        return ratio;
    }

    private readonly float KlDivergence(int row)
    {
        ReadOnlySpan<float> mean = Mean(row), logVariance = LogVariance(row);
        double sum = 0;
        for (int i = 0; i < mean.Length; i++)
            sum += 0.5 * (mean[i] * mean[i] + MathF.Exp(logVariance[i]) - logVariance[i] - 1);
        return (float)sum;
    }

    private readonly ReadOnlySpan<float> LogVariance(int row) =>
        _code.Slice(row * _parts.Code.Stride + _latent, _latent);

    private readonly ReadOnlySpan<float> Z(int row) => _x.Slice(row * _parts.InputStride, _stride);

    private readonly ReadOnlySpan<float> Raw(int row) => _bernoulli ? _raw.Slice(row * _stride, _stride) : Z(row);

    private readonly ReadOnlySpan<float> Target(int row) => _bernoulli ? _target.Slice(row * _stride, _stride) : Z(row);
}
