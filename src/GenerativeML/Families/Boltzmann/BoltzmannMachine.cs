using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>The options of a Boltzmann machine whose units are all joined with each other (Ackley 1985).</summary>
/// <remarks>
/// It is for few units, of which <see cref="HiddenUnits"/> are among: up to 20 the likelihood and its gradients are exact,
/// by enumerating all states, and chains have no part in it; generated rows are exact, too. With more, chains of Gibbs
/// sampling take their place, and generated rows begin at one of them.
/// </remarks>
public sealed record BoltzmannMachineOptions : BoltzmannOptions
{
    internal const int MostExactUnits = 20, MostUnits = 128;

    /// <summary>Hidden units, which are zero or one. 0 to 10. Default 4.</summary>
    public int HiddenUnits { get; init; } = 4;

    /// <summary>
    /// Values above it are ones, others are zeros. Default: none, and all training values must lie in [0, 1]; one in
    /// between is the probability of a one, drawn anew whenever it is trained on.
    /// </summary>
    public double? BinaryThreshold { get; init; }

    private protected override OptionalColumns Supported => OptionalColumns.None;

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        int units = rows.Input.Width + HiddenUnits, batch = BatchSize ?? 128;
        if (units > MostUnits)
        {
            throw new InvalidOperationException(
                $"Column '{FeatureColumnName}' has {rows.Input.Width} features and the machine {HiddenUnits} hidden units: "
                + $"at most {MostUnits} units can all be joined with each other. A restricted Boltzmann machine has no such limit.");
        }
        if (BinaryThreshold is null)
            _ = BinaryFeatures(VisibleUnits.Binary, rows, FeatureColumnName);
        return this with
        {
            Chains = Chains ?? Math.Min(batch, 10_000),
            BatchSize = batch,
            LearningRate = LearningRate ?? 0.02,
            WeightDecay = WeightDecay ?? 0.01,
            Epochs = Epochs ?? rows.EpochsFor(presented: 256_000, least: 10, most: 200),
        };
    }

    /// <inheritdoc />
    /// <exception cref="ArgumentException">There is a latent column, and no hidden unit for it.</exception>
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(HiddenUnits, 0, 10);
        if (BinaryThreshold is double threshold && !double.IsFinite(threshold))
            throw new ArgumentOutOfRangeException(nameof(BinaryThreshold), threshold, $"Option {nameof(BinaryThreshold)} must be finite.");
        if (LatentColumnName is not null && HiddenUnits == 0)
            throw new ArgumentException($"Option {nameof(LatentColumnName)} is set, and {nameof(HiddenUnits)} is 0.");
    }
}

/// <summary>
/// Learns rows of zeros and ones by a Boltzmann machine of few units, all joined with each other: scores rows by their
/// free energy, encodes them as the probabilities of hidden units, and generates others like them.
/// </summary>
/// <remarks><inheritdoc cref="RestrictedBoltzmannMachineTrainer" path="/remarks"/></remarks>
public sealed class BoltzmannMachineTrainer : VectorTrainer<BoltzmannTransformer>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<BoltzmannMachineOptions>(
        "boltzmann machine", (options, input) => new BoltzmannMachineNetwork(options, input),
        state => new BoltzmannTransformer(state));

    internal BoltzmannMachineTrainer(IHostEnvironment environment, BoltzmannMachineOptions options)
        : base(environment, Family, options)
    {
    }
}

/// <summary>
/// N units s of zeros and ones, the V visible ones first: of energy −b·s − Σ sᵢ·Lᵢⱼ·sⱼ, with i above j.
/// </summary>
internal sealed class BoltzmannMachineNetwork(BoltzmannMachineOptions options, VectorInput input)
    : VectorNetwork(input), IBoltzmannMachine, IScorer, IEncoder, ISampler
{
    private const float LeastProbability = 1e-3f; // that a unit begins with

    private readonly int _visible = input.Width, _units = input.Width + options.HiddenUnits;
    private readonly int _half = (input.Width + options.HiddenUnits) / 2; // two halves are enumerated apart
    private readonly bool _exact = input.Width + options.HiddenUnits <= BoltzmannMachineOptions.MostExactUnits;

    public bool IsLogLikelihood => true; // but for log Z
    public int LatentDimension => options.HiddenUnits;
    public int NormalWidth => 0;
    public int UniformWidth => _exact ? 2 : 1 + options.SampleSteps * _units;
    public int EnumeratedUnits => _units;
    public override bool UsesValidationLoss => _exact;
    public override string AveragedPart => "units";

    public override void Declare(Layers layers)
    {
        layers.Linear("units", _units, _units);
        layers.Buffer("pairs", _units, _units); // one below the diagonal
        layers.Buffer("visible_mean", _visible);
        if (options.HiddenUnits > 0)
            layers.Buffer("hidden_states", 1 << options.HiddenUnits, options.HiddenUnits);
        if (_exact)
        {
            layers.Buffer("first_states", 1 << _half, _half);
            layers.Buffer("last_states", 1 << (_units - _half), _units - _half);
        }
        else
        {
            layers.Buffer("one_unit", _units, _units);
            layers.Buffer("chains", options.Chains!.Value, _units);
        }
    }

    // Rows are seen as they are.
    protected override VectorScaler ScalerOf(RowStatistics rows) => VectorScaler.Of(new float[_visible], 1);

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        for (int i = 0; i < _units; i++)
            weights["pairs"].AsSpan(i * _units, i).Fill(1);
        float[] sample = rows.Samples[0].ToArray();
        for (int j = 0; j < _visible; j++)
        {
            float share = options.BinaryThreshold is double threshold
                ? sample.Where((_, i) => i % _visible == j).Average(v => v > threshold ? 1f : 0)
                : (float)rows.Moments[0].Mean[j];
            weights["visible_mean"][j] = share = Math.Clamp(share, LeastProbability, 1 - LeastProbability);
            weights["units.bias"][j] = MathF.Log(share / (1 - share));
        }
        foreach (TensorSpec states in weights.Specs.Where(t => t.Name.EndsWith("_states", StringComparison.Ordinal)))
            EnumerateStates(weights[states.Name], (int)states.Shape[1]);
        if (_exact)
            return;
        for (int i = 0; i < _units; i++)
            weights["one_unit"][i * (_units + 1)] = 1;
        var random = new SplitMix64(SplitMix64.Derive(Input.Seed, RandomPurpose.Initialization, 1));
        float[] chains = weights["chains"];
        for (int i = 0; i < chains.Length; i++)
            chains[i] = random.NextDouble() < (i % _units < _visible ? weights["visible_mean"][i % _units] : 0.5f) ? 1 : 0;
    }

    public override bool IsComputedInParts => !options.PersistentChains;

    public override IReadOnlyList<LossTerm> Loss(VectorStep step)
    {
        Scope<TorchTensor> w = step.Weights;
        SeededRandom random = step.Step.Random;
        TorchTensor rows = Binary<TorchTensor>(step.Rows);
        TorchTensor data = Ones<TorchTensor>(rows, random.Uniform(step.Rows.shape, 0, 1));
        torch.Tensor energy = FreeEnergy(w, data).Value.mean();
        if (_exact)
            return [new("negative_log_likelihood", energy.Plus(Flat(Halves(w).Joint).LogSumExp(1).Value.sum()))];
        torch.Tensor chains = w["chains"].Value;
        using (torch.no_grad())
        {
            TorchTensor begun = chains;
            if (!options.PersistentChains)
            {
                TorchTensor hidden = random.Bernoulli([data.Value.shape[0], options.HiddenUnits], 0.5);
                begun = Sweep(w, TorchTensor.Concat(1, data, hidden), random, from: _visible);
            }
            for (int i = 0; i < options.GibbsSteps; i++)
                begun = Sweep(w, begun, random, rowAxis: options.PersistentChains ? SeededRandom.ForAll : 0);
            long kept = Math.Min(begun.Value.shape[0], chains.shape[0]);
            chains.narrow(0, 0, kept).copy_(begun.Value.narrow(0, 0, kept));
            rows = begun.Slice(1, 0, _visible);
        }
        return [new("free_energy_gap", energy.Minus(FreeEnergy(w, rows).Value.mean()))];
    }

    public (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T> => (FreeEnergy(w, Binary(rows.Features)), null);

    public (T Mean, T? Deviation) Encode<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> =>
        (HiddenJoint(w, Binary(rows.Features)).Softmax().MatMul(w["hidden_states"]), null);

    public T Sample<T>(Scope<T> w, T normal, T? uniform, T? condition)
        where T : struct, ITensor<T>
    {
        T numbers = uniform!.Value;
        if (!_exact)
        {
            T units = BoltzmannOptions.ChainOf(w["chains"], options.Chains!.Value, numbers);
            for (int i = 0; i < options.SampleSteps * _units; i++)
                units = Update(w, units, i % _units, Couplings(w), w["units.bias"], numbers.Slice(1, 1 + i, 1));
            return units.Slice(1, 0, _visible);
        }
        // One half by its own distribution, the other given the first.
        (T joint, T own, T coupling) = Halves(w);
        int first = 1 << _half, last = 1 << (_units - _half);
        T ends = joint.LogSumExp(1).Reshape(1, first).Softmax().CumulativeSum(1).Reshape(first);
        T begin = numbers.Slice(1, 0, 1).Chosen(ends, first).MatMul(w["first_states"]);
        T shares = (begin.Linear(coupling).Linear(w["last_states"]) + own).Softmax().CumulativeSum(1);
        T u = numbers.Slice(1, 1, 1), one = u * 0f + 1f;
        T below = T.Concat(1, T.IfLess(u, shares.Slice(1, 0, last - 1), one, one * 0f), one);
        T chosen = below - T.Concat(1, one * 0f, below.Slice(1, 0, last - 1));
        return T.Concat(1, begin, chosen.MatMul(w["last_states"])).Slice(1, 0, _visible);
    }

    public double LogPartition(Scope<TorchTensor> w)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        TorchTensor first = States(_half), last = States(_units - _half);
        return Flat(Halves(w, first, last).Joint).Value.to(torch.ScalarType.Float64).logsumexp(1).item<double>();

        TorchTensor States(int units)
        {
            float[] states = new float[units << units];
            EnumerateStates(states, units);
            return HostTensors.FromRows(states, 1 << units, units, w["pairs"].Value.device);
        }
    }

    public LogPartition LogPartition(Scope<TorchTensor> w, int chains, int temperatures, SeededRandom random)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        TorchTensor share = w["visible_mean"], bias = w["units.bias"], weight = w["units.weight"] * w["pairs"];
        TorchTensor logit = share.Apply(Function.Log) - (1f - share).Apply(Function.Log);
        TorchTensor start = TorchTensor.Concat(0, logit, bias.Slice(0, _visible, options.HiddenUnits) * 0f);
        TorchTensor units = Ones<TorchTensor>(start.Apply(Function.Sigmoid), random.Uniform([chains, _units], 0, 1));
        torch.Tensor weights = torch.zeros([chains, 1], torch.ScalarType.Float64, bias.Value.device);
        for (int k = 1; k <= temperatures; k++)
        {
            using DisposeScope part = torch.NewDisposeScope();
            float beta = BoltzmannTransformer.InverseTemperature(k, temperatures);
            float rise = beta - BoltzmannTransformer.InverseTemperature(k - 1, temperatures);
            weights.Add((Own(units, weight, bias - start) * rise).Value.to(torch.ScalarType.Float64));
            units = Sweep(w, units, random, beta, start).Value.MoveToOuterDisposeScope();
        }
        double first = start.Apply(Function.Softplus).Value.to(torch.ScalarType.Float64).sum().item<double>();
        return BoltzmannTransformer.Mean(weights, first);
    }

    private T Binary<T>(T rows)
        where T : struct, ITensor<T>
    {
        if (options.BinaryThreshold is not double threshold)
            return rows;
        T zero = rows * 0f;
        return T.IfLess(zero + (float)threshold, rows, zero + 1f, zero);
    }

    // −log Σₕ exp(−energy), (B, V) → (B, 1).
    private T FreeEnergy<T>(Scope<T> w, T rows)
        where T : struct, ITensor<T>
    {
        T visible = Own(rows, Weight(w, 0, _visible, 0, _visible), w["units.bias"].Slice(0, 0, _visible));
        return options.HiddenUnits == 0 ? -visible : -visible - HiddenJoint(w, rows).LogSumExp(1);
    }

    // What of −energy depends on the hidden units, in each of their states, (B, V) → (B, 2ᴴ).
    private T HiddenJoint<T>(Scope<T> w, T rows)
        where T : struct, ITensor<T>
    {
        int hidden = options.HiddenUnits;
        T states = w["hidden_states"], bias = w["units.bias"].Slice(0, _visible, hidden);
        T own = Own(states, Weight(w, _visible, hidden, _visible, hidden), bias);
        return rows.Linear(Weight(w, _visible, hidden, 0, _visible)).Linear(states) + own.Reshape(1, 1 << hidden);
    }

    private (T Joint, T Own, T Coupling) Halves<T>(Scope<T> w)
        where T : struct, ITensor<T> => Halves(w, w["first_states"], w["last_states"]);

    // −energy in all states of both halves, (2ᴬ, 2ᴮ); what of it is the last half's own, (1, 2ᴮ); what joins them, (B, A).
    private (T Joint, T Own, T Coupling) Halves<T>(Scope<T> w, T first, T last)
        where T : struct, ITensor<T>
    {
        int rest = _units - _half;
        T coupling = Weight(w, _half, rest, 0, _half), bias = w["units.bias"];
        T ownFirst = Own(first, Weight(w, 0, _half, 0, _half), bias.Slice(0, 0, _half));
        T own = Own(last, Weight(w, _half, rest, _half, rest), bias.Slice(0, _half, rest)).Reshape(1, 1 << rest);
        return (first.Linear(coupling).Linear(last) + ownFirst + own, own, coupling);
    }

    // b·s + s·L·s, (count, n) → (count, 1).
    private static T Own<T>(T states, T weight, T bias)
        where T : struct, ITensor<T> => (states * (states.Linear(weight) + bias)).Reduce(Reduction.Sum, 1);

    private static T Weight<T>(Scope<T> w, int row, int rows, int column, int columns)
        where T : struct, ITensor<T> =>
        (w["units.weight"] * w["pairs"]).Slice(0, row, rows).Slice(1, column, columns);

    // The same both ways, (N, N).
    private static T Couplings<T>(Scope<T> w)
        where T : struct, ITensor<T>
    {
        T lower = w["units.weight"] * w["pairs"];
        return lower + lower.Transpose(1, 0);
    }

    // A step of Gibbs sampling of one unit after the other, at an inverse temperature beside biases.
    private TorchTensor Sweep(
        Scope<TorchTensor> w, TorchTensor units, SeededRandom random, float beta = 1, TorchTensor? start = null, int from = 0, int rowAxis = 0)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        TorchTensor couplings = Couplings(w) * beta, bias = w["units.bias"] * beta;
        if (start is { } independent)
            bias += independent * (1 - beta);
        TorchTensor numbers = random.Uniform(units.Value.shape, 0, 1, rowAxis);
        TorchTensor drawn = units.Value.clone();
        for (int i = from; i < _units; i++)
        {
            TorchTensor field = drawn.MatMul(couplings.Slice(1, i, 1)) + bias.Slice(0, i, 1);
            drawn.Slice(1, i, 1).Value.copy_(Ones(field.Apply(Function.Sigmoid), numbers.Slice(1, i, 1)));
        }
        return drawn.Value.MoveToOuterDisposeScope();
    }

    private static T Update<T>(Scope<T> w, T units, int i, T couplings, T bias, T uniform)
        where T : struct, ITensor<T>
    {
        T field = units.MatMul(couplings.Slice(1, i, 1)) + bias.Slice(0, i, 1);
        return units + (Ones(field.Apply(Function.Sigmoid), uniform) - units.Slice(1, i, 1)) * w["one_unit"].Slice(0, i, 1);
    }

    private static TorchTensor Flat(TorchTensor values) => values.Reshape(1, -1);

    private static T Ones<T>(T probability, T uniform)
        where T : struct, ITensor<T> => BinaryLayer.Ones(probability, uniform);

    private static void EnumerateStates(float[] states, int units)
    {
        for (int i = 0; i < states.Length; i++)
            states[i] = i / units >> (i % units) & 1;
    }
}
