using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Visible units x, binary or Gaussian, and binary hidden units h, joined by a matrix W: of energy
/// −b·x − c·h − h·W·x, where a Gaussian unit has ½(x − b)²/σ² for −b·x, and x/σ² for the x beside W. Binary units are
/// centred by their mean in training, so that all have a zero in the middle (Montavon 2012), Gaussian ones are standardised.
/// </summary>
/// <param name="name">What its tensors' names begin with.</param>
/// <param name="visible">Visible units, V.</param>
/// <param name="hidden">Hidden units, H.</param>
/// <param name="units">What visible units are: Auto where some are binary and others Gaussian.</param>
/// <param name="seesRows">Whether visible units are features of rows; otherwise units of another layer, not centred.</param>
internal sealed class BinaryLayer(string name, int visible, int hidden, VisibleUnits units, bool seesRows = true)
{
    private const float LeastLogVariance = -6; // in squared deviations of the data: no likelihood grows without bound
    private const float LeastProbability = 1e-3f; // that a unit begins with
    private const int Together = 1 << 14; // states that are enumerated at a time

    private readonly bool _hasBinary = units != VisibleUnits.Gaussian, _hasGaussian = units != VisibleUnits.Binary;

    public string Name => name;
    public int Visible => visible;
    public int Hidden => hidden;

    /// <summary>Normal numbers that a step of Gibbs sampling takes.</summary>
    public int NormalWidth => _hasGaussian ? visible : 0;

    /// <summary>Uniform numbers that it takes: the hidden units' first.</summary>
    public int UniformWidth => hidden + (_hasBinary ? visible : 0);

    public void Declare(Layers layers)
    {
        layers.Linear($"{name}.hidden", visible, hidden);
        layers.Parameter($"{name}.visible_bias", 0, visible);
        if (_hasGaussian)
        {
            layers.Parameter($"{name}.log_variance", 0, visible);
            layers.Buffer("feature_mask", visible); // zero where a Gaussian feature is constant
        }
        if (!_hasBinary || !seesRows)
            return;
        layers.Buffer("binary", visible); // one where binary
        layers.Buffer("binary_mean", visible); // what binary features are centred by, otherwise zero
        layers.Buffer("drawn", visible); // one where binary and never a share: such are generated as zeros and ones
    }

    /// <summary>Sets what follows from the rows: without hidden units, each feature would be as in training.</summary>
    public void Initialize(HostWeights weights, VectorScaler scaler, bool[] binary, bool[] drawn)
    {
        for (int j = 0; j < visible; j++)
        {
            if (_hasGaussian)
                weights["feature_mask"][j] = scaler.IsConstant(j) ? 0 : 1;
            if (!binary[j])
                continue;
            float share = Math.Clamp(scaler.Mean(j), LeastProbability, 1 - LeastProbability);
            weights[$"{name}.visible_bias"][j] = MathF.Log(share / (1 - share));
            weights["binary"][j] = 1;
            weights["binary_mean"][j] = scaler.Mean(j);
            weights["drawn"][j] = drawn[j] ? 1 : 0;
        }
    }

    /// <summary>Fills rows (N × V) with independent features, distributed as in training.</summary>
    public void DrawIndependent(HostWeights weights, float[] rows, int seed)
    {
        var random = new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Initialization, 1));
        NormalNumbers.Fill(ref random, rows);
        for (int i = 0; i < rows.Length; i++)
        {
            int j = i % visible;
            if (_hasBinary && weights["binary"][j] == 1)
                rows[i] = (random.NextDouble() < weights["binary_mean"][j] ? 1 : 0) - weights["binary_mean"][j];
            else
                rows[i] *= weights["feature_mask"][j];
        }
    }

    /// <summary>−log Σₕ exp(−energy) of rows (B, V), (B, 1).</summary>
    public T FreeEnergy<T>(Scope<T> w, T rows)
        where T : struct, ITensor<T> =>
        VisibleEnergy(w, rows, w[$"{name}.visible_bias"]) - Sum(HiddenLogits(w, rows).Apply(Function.Softplus));

    /// <summary>What rows (B, V) say of each hidden unit: the logit of its probability, (B, H).</summary>
    public T HiddenLogits<T>(Scope<T> w, T rows)
        where T : struct, ITensor<T> => w.Linear($"{name}.hidden", _hasGaussian ? rows * Precision(w) : rows);

    /// <summary>What hidden units (B, H) say of each visible one: its logit, or its mean, (B, V).</summary>
    public T Field<T>(Scope<T> w, T hiddenUnits)
        where T : struct, ITensor<T> => w.Ops.Linear(
            hiddenUnits, w[$"{name}.hidden.weight"].Transpose(1, 0), w[$"{name}.visible_bias"]);

    /// <summary>The expected rows, (B, V) → (B, V).</summary>
    public T Expected<T>(Scope<T> w, T field)
        where T : struct, ITensor<T> =>
        Choose(w, () => field.Apply(Function.Sigmoid) - BinaryMean(w), () => field * w["feature_mask"]);

    /// <summary>Rows after steps of Gibbs sampling from others, by given random numbers.</summary>
    public T Sample<T>(Scope<T> w, T rows, int steps, T normal, T uniform)
        where T : struct, ITensor<T>
    {
        for (int i = 0; i < steps; i++)
        {
            T units = Ones(HiddenLogits(w, rows).Apply(Function.Sigmoid), uniform.Slice(1, i * UniformWidth, hidden));
            T? noise = _hasGaussian ? normal.Slice(1, i * visible, visible) : null;
            T? numbers = _hasBinary ? uniform.Slice(1, i * UniformWidth + hidden, visible) : null;
            rows = Down(w, units, noise, numbers, last: i == steps - 1);
        }
        return rows;
    }

    /// <summary>Rows drawn by hidden units, (B, H) → (B, V); of last ones shares as expected.</summary>
    public T Down<T>(Scope<T> w, T hiddenUnits, T? normal, T? uniform, bool last)
        where T : struct, ITensor<T>
    {
        T field = Field(w, hiddenUnits), rows = Drawn(w, field, normal, uniform);
        // Of shares zeros and ones would be samples of something else.
        return last && _hasBinary && seesRows
            ? rows + (Expected(w, field) - rows) * (w["binary"] - w["drawn"])
            : rows;
    }

    /// <summary>−log p(rows) given hidden units, (B, V), (B, H) → (B, 1); of shares the cross-entropy.</summary>
    public T LossGiven<T>(Scope<T> w, T rows, T hiddenUnits)
        where T : struct, ITensor<T>
    {
        T field = Field(w, hiddenUnits);
        return Sum(Choose(
            w, () => field.Apply(Function.Softplus) - (rows + BinaryMean(w)) * field,
            () => (rows - field).Apply(Function.Square) * Precision(w) * 0.5f
                + (LogVariance(w) + MathF.Log(2 * MathF.PI)) * w["feature_mask"] * 0.5f));
    }

    /// <summary>The same while training, without gradients.</summary>
    public TorchTensor Gibbs(Scope<TorchTensor> w, TorchTensor rows, int steps, SeededRandom random, int rowAxis = 0)
    {
        for (int i = 0; i < steps; i++)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            rows = Step(w, rows, Field, HiddenLogits(w, rows), random, rowAxis).Value.MoveToOuterDisposeScope();
        }
        return rows;

        TorchTensor Field(TorchTensor hiddenUnits) => this.Field(w, hiddenUnits);
    }

    /// <summary>Rows of zeros and ones where binary features are shares, (B, V).</summary>
    public TorchTensor Draw(Scope<TorchTensor> w, TorchTensor rows, SeededRandom random) => Choose(
        w, () => Ones<TorchTensor>(rows + BinaryMean(w), random.Uniform(rows.Value.shape, 0, 1)) - BinaryMean(w), () => rows);

    /// <summary>The exact logarithm of the partition function, by enumerating the states of the hidden units.</summary>
    public double LogPartition(Scope<TorchTensor> w)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        TorchTensor bias = w[$"{name}.hidden.bias"], shift = w[$"{name}.visible_bias"];
        double total = double.NegativeInfinity;
        for (long first = 0; first < 1L << hidden; first += Together)
        {
            using DisposeScope part = torch.NewDisposeScope();
            TorchTensor states = HiddenStates(first, Math.Min(Together, (1L << hidden) - first), bias.Value.device);
            TorchTensor field = Field(w, states);
            TorchTensor each = Choose(
                w, () => field.Apply(Function.Softplus) - field * BinaryMean(w),
                // Of exp(−½(x − b)²/σ² + x·s/σ²) the integral, with s = field − b.
                () => ((field * field - shift * shift) * Precision(w) + LogVariance(w) + MathF.Log(2 * MathF.PI)) * 0.5f
                    * w["feature_mask"]);
            torch.Tensor all = Sum(each).Value.Plus(Sum(states * bias)).to(torch.ScalarType.Float64);
            double sum = all.logsumexp(0).item<double>(), most = Math.Max(total, sum);
            total = most + Math.Log(Math.Exp(total - most) + Math.Exp(sum - most));
        }
        return total;
    }

    /// <summary>
    /// Its estimate by annealed importance sampling (Neal 2001; Salakhutdinov and Murray 2008): chains that begin as
    /// independent features, at the inverse temperature zero, and are led to the model through so many temperatures.
    /// </summary>
    public LogPartition LogPartition(Scope<TorchTensor> w, int chains, int temperatures, SeededRandom random)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        TorchTensor bias = w[$"{name}.visible_bias"], start = Independent(w);
        TorchTensor zero = torch.zeros([chains, visible], device: bias.Value.device);
        TorchTensor rows = Drawn(w, zero + start, Noise(), Uniform());
        torch.Tensor weights = torch.zeros([chains, 1], torch.ScalarType.Float64, bias.Value.device);
        for (int k = 1; k <= temperatures; k++)
        {
            using DisposeScope part = torch.NewDisposeScope();
            float beta = BoltzmannTransformer.InverseTemperature(k, temperatures);
            float before = BoltzmannTransformer.InverseTemperature(k - 1, temperatures);
            TorchTensor logits = HiddenLogits(w, rows);
            // log p*(rows) at this temperature, less that at the last.
            TorchTensor gain = (VisibleEnergy(w, rows, start) - VisibleEnergy(w, rows, bias)) * (beta - before)
                + Sum((logits * beta).Apply(Function.Softplus) - (logits * before).Apply(Function.Softplus));
            weights.Add(gain.Value.to(torch.ScalarType.Float64));
            rows = Step(w, rows, h => start * (1 - beta) + Field(w, h) * beta, logits * beta, random).Value
                .MoveToOuterDisposeScope();
        }
        double first = Choose(
            w, () => start.Apply(Function.Softplus) - start * BinaryMean(w),
            () => (LogVariance(w) + MathF.Log(2 * MathF.PI)) * 0.5f * w["feature_mask"])
            .Value.sum().to(torch.ScalarType.Float64).item<double>() + hidden * Math.Log(2);
        return BoltzmannTransformer.Mean(weights, first);

        TorchTensor? Noise() => _hasGaussian ? random.Normal([chains, visible]) : default(TorchTensor?);
        TorchTensor? Uniform() => _hasBinary ? random.Uniform([chains, visible], 0, 1) : default(TorchTensor?);
    }

    // A step of Gibbs sampling, by the logits of the hidden units and what these say of the visible ones.
    private TorchTensor Step(
        Scope<TorchTensor> w, TorchTensor rows, Func<TorchTensor, TorchTensor> field, TorchTensor logits, SeededRandom random,
        int rowAxis = 0)
    {
        long[] shape = rows.Value.shape;
        TorchTensor units = Ones<TorchTensor>(logits.Apply(Function.Sigmoid), random.Uniform([shape[0], hidden], 0, 1, rowAxis));
        return Drawn(
            w, field(units), _hasGaussian ? random.Normal(shape, rowAxis: rowAxis) : default(TorchTensor?),
            _hasBinary ? random.Uniform(shape, 0, 1, rowAxis) : default(TorchTensor?));
    }

    // Rows by logits or means, (B, V).
    private T Drawn<T>(Scope<T> w, T field, T? normal, T? uniform)
        where T : struct, ITensor<T> => Choose(
            w, () => Ones(field.Apply(Function.Sigmoid), uniform!.Value) - BinaryMean(w),
            () => (field + normal!.Value * (LogVariance(w) * 0.5f).Apply(Function.Exp)) * w["feature_mask"]);

    // The part of the energy that hidden units have none in, (B, 1).
    private T VisibleEnergy<T>(Scope<T> w, T rows, T bias)
        where T : struct, ITensor<T> => Sum(Choose(
            w, () => -(rows * bias), () => (rows - bias).Apply(Function.Square) * Precision(w) * 0.5f));

    // Biases by which features would be independent, and as in training.
    private TorchTensor Independent(Scope<TorchTensor> w)
    {
        TorchTensor bias = w[$"{name}.visible_bias"];
        return !seesRows ? bias : Choose(
            w, () =>
            {
                TorchTensor share = BinaryMean(w).Clamp(LeastProbability, 1 - LeastProbability);
                return share.Apply(Function.Log) - (1f - share).Apply(Function.Log);
            },
            () => bias * 0f);
    }

    private T BinaryMean<T>(Scope<T> w)
        where T : struct, ITensor<T> => seesRows ? w["binary_mean"] : w.Constant(0);

    /// <summary>One over σ²: one of a binary unit, zero of a constant one, (V).</summary>
    public T Precision<T>(Scope<T> w)
        where T : struct, ITensor<T> => Choose(
            w, () => w.Constant(1), () => (-LogVariance(w)).Apply(Function.Exp) * w["feature_mask"]);

    private T LogVariance<T>(Scope<T> w)
        where T : struct, ITensor<T> => w[$"{name}.log_variance"].Clamp(LeastLogVariance, float.MaxValue);

    private T Choose<T>(Scope<T> w, Func<T> binary, Func<T> gaussian)
        where T : struct, ITensor<T> => !_hasBinary ? gaussian()
            : !_hasGaussian ? binary()
            : T.IfLess(w["binary"], w.Constant(0.5f), gaussian(), binary());

    /// <summary>Ones with these probabilities.</summary>
    public static T Ones<T>(T probability, T uniform)
        where T : struct, ITensor<T> => T.OneIfLess(uniform, probability);

    private static T Sum<T>(T values)
        where T : struct, ITensor<T> => values.Reduce(Reduction.Sum, 1);

    // The binary digits of numbers from one on, (count, H).
    private TorchTensor HiddenStates(long first, long count, torch.Device device)
    {
        float[] states = new float[count * hidden];
        for (int i = 0; i < states.Length; i++)
            states[i] = (first + i / hidden) >> (i % hidden) & 1;
        return HostTensors.FromRows(states, count, hidden, device);
    }
}
