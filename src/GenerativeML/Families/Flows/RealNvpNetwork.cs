namespace GenerativeML;

/// <summary>
/// Standardised rows x → z, standard normal, through affine couplings: z = x·exp(s) + t in the half of the features that
/// a coupling's mask does not keep, with s and t computed from the half that it keeps, and from the conditions. The
/// Jacobian is triangular, so that the density of x is N(z)·exp(Σ s). Features stay in their places throughout.
/// </summary>
internal sealed class RealNvpNetwork(RealNvpOptions options, VectorInput input)
    : VectorNetwork(input), IScorer, IEncoder, ISampler
{
    private static readonly float s_halfLogTwoPi = 0.5f * MathF.Log(2 * MathF.PI);

    private readonly int _width = input.Width;
    private readonly int[] _widths = [input.Width + input.ConditionWidth, .. options.HiddenLayers, 2 * input.Width];

    public bool IsLogLikelihood => true;

    public int LatentDimension => _width;

    public int NormalWidth => _width;

    public override int WidestLayer => _widths.Max();

    public override void Declare(Layers layers)
    {
        layers.Buffer("feature_mask", _width); // zero where a feature is constant, and has no density
        for (int k = 0; k < options.Couplings; k++)
        {
            layers.Buffer($"coupling.{k}.mask", _width); // one where a feature is kept
            layers.Parameter($"coupling.{k}.scale", 1, _width);
            layers.Stack($"coupling.{k}.net", _widths);
        }
    }

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        VectorScaler scaler = FeatureScaler(weights);
        int[] varying = [.. Enumerable.Range(0, _width).Where(j => !scaler.IsConstant(j))];
        foreach (int j in varying)
            weights["feature_mask"][j] = 1;
        var random = new SplitMix64(SplitMix64.Derive(Input.Seed, RandomPurpose.Initialization, 1));
        for (int k = 0; k < options.Couplings; k++)
        {
            if (k % 2 == 0)
                random.Shuffle(varying.AsSpan());
            int half = varying.Length / 2;
            foreach (int j in k % 2 == 0 ? varying[..half] : varying[half..])
                weights[$"coupling.{k}.mask"][j] = 1;
            // The flow begins by doing nothing: rows are standardised, nearly what they are to become.
            Array.Clear(weights[$"coupling.{k}.net.{_widths.Length - 2}.weight"]);
            Array.Clear(weights[$"coupling.{k}.net.{_widths.Length - 2}.bias"]);
        }
    }

    public override IReadOnlyList<LossTerm> Loss(VectorStep step)
    {
        VectorRows<TorchTensor> rows = step.Inputs;
        if (options.InputNoise is double deviation and > 0)
        {
            TorchTensor noise = step.Step.Random.Normal(step.Rows.shape, deviation);
            rows = rows with { Features = rows.Features + noise * step.Weights["feature_mask"] };
        }
        return Mean(step.Weights, rows);
    }

    public override IReadOnlyList<LossTerm> ValidationLoss(VectorStep step) => Mean(step.Weights, step.Inputs);

    public (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T>
    {
        (T z, T logScale) = Normalize(w, rows);
        T each = z.Apply(Function.Square) * 0.5f + w["feature_mask"] * s_halfLogTwoPi - logScale; // (B, D)
        return (each.Reduce(Reduction.Sum, 1), byFeature ? each : null);
    }

    public (T Mean, T? Deviation) Encode<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => (Normalize(w, rows).Z, null);

    public T Sample<T>(Scope<T> w, T normal, T? uniform, T? condition)
        where T : struct, ITensor<T>
    {
        T x = normal * w["feature_mask"];
        for (int k = options.Couplings - 1; k >= 0; k--)
        {
            (T logScale, T shift) = Couple(w, k, new(x, condition));
            x = (x - shift) * (-logScale).Apply(Function.Exp);
        }
        return x;
    }

    // The latent vector, and by feature the logarithm of what it was stretched by, (B, D) each.
    private (T Z, T LogScale) Normalize<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>
    {
        T z = rows.Features, sum = z * 0f;
        for (int k = 0; k < options.Couplings; k++)
        {
            (T logScale, T shift) = Couple(w, k, rows with { Features = z });
            z = z * logScale.Apply(Function.Exp) + shift;
            sum += logScale;
        }
        return (z, sum);
    }

    // What a coupling does to the features that it moves; zero for those that it keeps, (B, D) each.
    private (T LogScale, T Shift) Couple<T>(Scope<T> w, int k, VectorRows<T> rows)
        where T : struct, ITensor<T>
    {
        Scope<T> coupling = w.Of($"coupling.{k}");
        T kept = coupling["mask"], moved = w["feature_mask"] * (1f - kept);
        T x = coupling.Stack("net", _widths.Length - 1, rows.Join(rows.Features * kept), options.Activation);
        T logScale = x.Slice(1, 0, _width).Apply(Function.Tanh) * coupling["scale"];
        return (logScale * moved, x.Slice(1, _width, _width) * moved);
    }

    private LossTerm[] Mean(Scope<TorchTensor> w, VectorRows<TorchTensor> rows) =>
        [new("negative_log_likelihood", Score(w, rows, byFeature: false).Score.Value.mean())];
}
