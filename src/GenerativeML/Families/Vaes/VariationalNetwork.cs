using TorchSharp;

namespace GenerativeML;

/// <summary>
/// A variational autoencoder (Kingma and Welling 2014), whatever its layers are: the encoder gives a normal distribution
/// of latent vectors for a row, the decoder what each feature of the row is distributed by for a latent vector. Loss,
/// scores and sampling are the same for all; a family adds the two stacks of layers.
/// </summary>
internal abstract class VariationalNetwork : VectorNetwork, IScorer, IReconstructor, ILatentSampler
{
    // Beyond ± so much, the exponential of a latent feature's log variance is of no use.
    private const float MaxLogVariance = 14;

    // Added when distributing what belongs to the row as a whole, to avoid division by zero.
    private const float MinExcess = 1e-6f;

    // A hidden unit that hardly ever differs counts as if it did by this share of what units do in the mean: its own
    // figure is too small to divide by.
    private const double MinUnitShare = 0.1;

    private const double MinUnitSquare = 1e-30; // whose reciprocal, times any square, is still finite

    // So many latent vectors of a row are decoded together that no layer has more numbers for them.
    private const int MaxTogether = 1 << 15;

    private readonly VariationalOptions _options;
    private readonly NearestRows _nearest;
    private readonly ImageOutlines? _outlines; // by which images are compared with stored ones; vectors by their features
    private readonly VaeScore? _score; // null where rows are not scored

    public override bool TakesTotals => _options.FreeBits > 0;

    protected VariationalNetwork(VariationalOptions options, VectorInput input, ImageOutlines? outlines = null)
        : base(input)
    {
        _options = options;
        _outlines = outlines;
        _nearest = new NearestRows(options.ReferenceRows, outlines?.Width ?? input.Width);
        _score = options.Scores ? options.Score : null;
        Likelihood = new FeatureLikelihood(options, input.Width);
        LatentDimension = options.LatentDimension!.Value;
    }

    public int LatentDimension { get; }

    private bool Compares => _score == VaeScore.Novelty && _options.ReferenceRows > 0;

    public virtual bool IsLogLikelihood => _score != VaeScore.Novelty;

    public int NormalWidth => LatentDimension + (Likelihood.HasGaussian ? Input.Width : 0);

    public int UniformWidth => Likelihood.HasBernoulli ? Input.Width : 0;

    /// <summary>How features are distributed.</summary>
    protected FeatureLikelihood Likelihood { get; }

    /// <summary>Units of the encoder's last hidden layer, H.</summary>
    protected abstract int HiddenWidth { get; }

    /// <summary>Declares the layers of <see cref="Hidden"/> and <see cref="Decode"/>, with <c>output.bias</c> (D).</summary>
    protected abstract void DeclareStacks(Layers layers);

    /// <summary>The encoder's last hidden layer: standardised rows (B, D) with their conditions → (B, H).</summary>
    protected abstract T Hidden<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>;

    /// <summary>Latent vectors (B, Z), conditions → means, or logits of Bernoulli features, (B, D).</summary>
    protected abstract T Decode<T>(Scope<T> w, VectorRows<T> latent)
        where T : struct, ITensor<T>;

    public sealed override void Declare(Layers layers)
    {
        DeclareStacks(layers);
        layers.Linear("latent_mean", HiddenWidth, LatentDimension);
        layers.Linear("latent_log_variance", HiddenWidth, LatentDimension);
        Likelihood.Declare(layers);
        if (_score == VaeScore.NegativeLogLikelihood)
            layers.Buffer("score_noise", _options.ScoreSamples, LatentDimension);
        if (_score != VaeScore.Novelty)
            return;
        layers.Buffer("unit_weight", HiddenWidth); // one over H times the usual squared difference
        layers.Buffer("part_weight", 4); // one over the usual size of each part of the score
        if (!Compares)
            return;
        _nearest.Declare(layers);
        _outlines?.Declare(layers);
    }

    // Bernoulli features are only centred.
    protected override VectorScaler ScalerOf(RowStatistics rows) =>
        VectorScaler.Of(rows.Moments[0], rows.Samples[0], Likelihood.IsBernoulli);

    /// <summary>The Bernoulli features that are sampled as zero or one, and what they have for zero.</summary>
    protected virtual (bool[] Binary, float Low) BernoulliOf(RowStatistics rows) => (rows.Binary, 0);

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        (bool[] binary, float low) = BernoulliOf(rows);
        Likelihood.Initialize(weights, weights["output.bias"], binary, low);
        if (Compares)
            _outlines?.Initialize(weights, ScalerOf(rows));
        if (_score != VaeScore.NegativeLogLikelihood)
            return;
        var random = new SplitMix64(SplitMix64.Derive(Input.Seed, RandomPurpose.Scoring));
        NormalNumbers.Fill(ref random, weights["score_noise"]);
    }

    public override IReadOnlyList<LossTerm> Loss(VectorStep step)
    {
        double rise = _options.KlWarmupFraction * step.Step.Steps;
        double weight = _options.KlWeight * (step.Step.Step < rise ? step.Step.Step / rise : 1);
        return Loss(step, weight, _options.FreeBits);
    }

    public override IReadOnlyList<LossTerm> ValidationLoss(VectorStep step) => Loss(step, _options.KlWeight, 0);

    /// <summary>The negative ELBO for noise (B, Z): −log p(x|z), (B, 1), and KL by latent feature, (B, Z).</summary>
    public (T Reconstruction, T Kl) NegativeElbo<T>(Scope<T> w, VectorRows<T> rows, T noise)
        where T : struct, ITensor<T>
    {
        (T mean, T logVariance) = Latent(w, Hidden(w, rows));
        T latent = mean + (logVariance * 0.5f).Apply(Function.Exp) * noise;
        T loss = Likelihood.Loss(w, rows.Features, Decode(w, rows with { Features = latent }));
        return (loss.Reduce(Reduction.Sum, 1), KlDivergence(mean, logVariance));
    }

    /// <summary>The KL divergence of normal distributions from the standard one, in nats: (B, Z), (B, Z) → (B, Z).</summary>
    public static T KlDivergence<T>(T mean, T logVariance)
        where T : struct, ITensor<T> =>
        (mean.Apply(Function.Square) + logVariance.Apply(Function.Exp) - logVariance - 1f) * 0.5f;

    public override IReadOnlyList<string> CalibratedTensors => _score == VaeScore.Novelty ? ["part_weight"] : [];

    public override void Calibrate(VectorCalibration calibration)
    {
        if (_score != VaeScore.Novelty)
            return;
        if (Compares)
        {
            _nearest.Store(calibration, Input.Seed, _outlines is null
                ? null
                : calibration.RunOnTrained(new OutlinesPass(_outlines), _outlines.Width)[0]);
        }
        // By trained rows: how large the differences of other rows are as a whole is what the part's weight is for.
        float[] squares = calibration.RunOnTrained(new CalibrationPass(this, units: true), HiddenWidth)[0];
        float[] unitWeight = calibration.Weights["unit_weight"];
        double[] usual = [.. Enumerable.Range(0, HiddenWidth).Select(
            unit => Enumerable.Range(0, calibration.Count).Average(row => (double)squares[row * HiddenWidth + unit]))];
        double least = MinUnitShare * usual.Average();
        for (int unit = 0; unit < usual.Length; unit++)
            unitWeight[unit] = least > MinUnitSquare ? (float)(1 / (HiddenWidth * (usual[unit] + least))) : 0;
        calibration.SetPartWeights(calibration.Run(new CalibrationPass(this, units: false), 1, 1, 1, 1));
    }

    public (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T>
    {
        if (_score == VaeScore.Novelty)
        {
            Novelty<T> parts = NoveltyOf(w, rows, byFeature);
            T weight = w["part_weight"];
            T own = parts.Excess * weight.Slice(0, 0, 1);
            // By feature, but for images: their outlines are no pixels.
            T near = parts.Near * weight.Slice(0, 2, 1) + parts.Far * weight.Slice(0, 3, 1);
            T rest = parts.Kl * weight.Slice(0, 0, 1) + Sum(parts.Units * w["unit_weight"]) * weight.Slice(0, 1, 1);
            if (!byFeature)
                return (Sum(own) + near + rest, null);
            return _outlines is null
                ? (Sum(own + near) + rest, own + near + Distribute(rest, parts.Excess))
                : (Sum(own) + near + rest, own + Distribute(near + rest, parts.Excess));
        }
        (T mean, T logVariance) = Latent(w, Hidden(w, rows));
        T decoded = Decode(w, rows with { Features = mean });
        T loss = Likelihood.Loss(w, rows.Features, decoded) + Likelihood.Correction(w, rows.Features);
        T score = _score == VaeScore.Reconstruction
            ? Sum(loss)
            : NegativeLogLikelihood(w, rows, mean, logVariance);
        return !byFeature
            ? (score, null)
            : (score, loss + Distribute(score - Sum(loss), Likelihood.Excess(w, rows.Features, decoded)));
    }

    public T Reconstruct<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>
    {
        T mean = Latent(w, Hidden(w, rows)).Mean;
        return Likelihood.StandardizeReconstruction(w, Decode(w, rows with { Features = mean }));
    }

    public (T Mean, T? Deviation) Encode<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>
    {
        (T mean, T logVariance) = Latent(w, Hidden(w, rows));
        return (mean, (logVariance * 0.5f).Apply(Function.Exp));
    }

    public T Sample<T>(Scope<T> w, T normal, T? uniform, T? condition)
        where T : struct, ITensor<T>
    {
        T decoded = Decode(w, new VectorRows<T>(normal.Slice(1, 0, LatentDimension), condition));
        T? noise = Likelihood.HasGaussian ? normal.Slice(1, LatentDimension, Input.Width) : null;
        return Likelihood.Sample(w, decoded, noise, uniform);
    }

    private static T Sum<T>(T values)
        where T : struct, ITensor<T> => values.Reduce(Reduction.Sum, 1);

    // What belongs to the row as a whole is shared out by the features' excess: row and reconstruction differ in
    // nothing but their features, and hidden units by nothing but these. (B, 1), (B, D) → (B, D).
    private static T Distribute<T>(T rest, T excess)
        where T : struct, ITensor<T>
    {
        T share = excess + MinExcess;
        return share * (rest / Sum(share));
    }

    // In single precision, whatever the other products of training are computed in: mean and log variance (B, Z).
    private static (T Mean, T LogVariance) Latent<T>(Scope<T> w, T hidden)
        where T : struct, ITensor<T> => (
            hidden.Linear(w["latent_mean.weight"], w["latent_mean.bias"]),
            hidden.Linear(w["latent_log_variance.weight"], w["latent_log_variance.bias"])
                .Clamp(-MaxLogVariance, MaxLogVariance));

    private List<LossTerm> Loss(VectorStep step, double klWeight, double freeBits)
    {
        torch.Tensor noise = step.Step.Random.Normal([step.Rows.shape[0], LatentDimension]);
        (TorchTensor reconstruction, TorchTensor kl) = NegativeElbo<TorchTensor>(step.Weights, step.Inputs, noise);
        torch.Tensor perFeature = kl.Value.mean([0L]); // (Z)
        torch.Tensor klWithFreeBits = freeBits > 0 ? step.Step.AtLeast(perFeature, freeBits) : perFeature;
        return
        [
            new LossTerm("reconstruction", reconstruction.Value.mean()),
            new LossTerm("kl", klWithFreeBits.sum().Scaled(klWeight)),
        ];
    }

    // −log p(x) by importance sampling (Burda 2016, equation 8): an upper bound in the mean, (B, 1).
    private T NegativeLogLikelihood<T>(Scope<T> w, VectorRows<T> rows, T mean, T logVariance)
        where T : struct, ITensor<T>
    {
        int width = Input.Width, latents = LatentDimension, samples = _options.ScoreSamples;
        int together = Math.Max(1, MaxTogether / Math.Max(width, HiddenWidth));
        T center = mean.Reshape(-1, 1, latents), log = logVariance.Reshape(-1, 1, latents);
        T deviation = (log * 0.5f).Apply(Function.Exp), z = rows.Features.Reshape(-1, 1, width);
        var weights = new List<T>(); // log p(x|z) + log p(z) − log q(z|x), (B, samples)
        for (int first = 0; first < samples; first += together)
        {
            int count = Math.Min(together, samples - first);
            T noise = w["score_noise"].Slice(0, first, count).Reshape(1, count, latents);
            T latent = center + deviation * noise; // (B, count, Z)
            T? condition = rows.Condition is { } c
                ? (c.Reshape(-1, 1, Input.ConditionWidth) + noise.Slice(2, 0, 1) * 0f).Reshape(-1, Input.ConditionWidth)
                : null;
            T decoded = Decode(w, new VectorRows<T>(latent.Reshape(-1, latents), condition));
            T loss = Likelihood.Loss(w, z, decoded.Reshape(-1, count, width));
            T ratio = noise * noise - latent * latent + log;
            T weight = Sum(ratio.Reshape(-1, latents)) * 0.5f - Sum(loss.Reshape(-1, width));
            weights.Add(weight.Reshape(-1, count));
        }
        T all = weights.Count == 1 ? weights[0] : T.Concat(1, [.. weights]);
        return Sum(Likelihood.Correction(w, rows.Features)) - all.LogSumExp(1) + MathF.Log(samples);
    }

    private Novelty<T> NoveltyOf<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T>
    {
        T hidden = Hidden(w, rows);
        (T mean, T logVariance) = Latent(w, hidden);
        T decoded = Decode(w, rows with { Features = mean });
        T again = Hidden(w, rows with { Features = Likelihood.StandardizeReconstruction(w, decoded) });
        T kl = Sum(KlDivergence(mean, logVariance));
        (T near, T far) = !Compares
            ? (kl * 0f, kl * 0f)
            : _outlines is null
                ? _nearest.Differences(w, rows.Features, byFeature)
                : _nearest.Differences(w, _outlines.Of(w, rows.Features), byFeature: false);
        return new(
            Likelihood.Excess(w, rows.Features, decoded), kl, (hidden - again).Apply(Function.Square), near, far);
    }

    // What a novelty score is made of: (B, D), (B, 1), squares by which the encoder sees a row and its reconstruction
    // differently (B, H), and squared distances to stored rows, by feature (B, D) or, of images always, in all (B, 1).
    private readonly record struct Novelty<T>(T Excess, T Kl, T Units, T Near, T Far);

    private sealed class OutlinesPass(ImageOutlines outlines) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => [outlines.Of(w, inputs[0])];
    }

    // What a novelty score is calibrated by: hidden units' squares, or the score's parts before they are weighted.
    private sealed class CalibrationPass(VariationalNetwork network, bool units) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            Novelty<T> parts = network.NoveltyOf(
                w, new VectorRows<T>(inputs[0], inputs.Length > 1 ? inputs[1] : null), byFeature: false);
            return units
                ? [parts.Units]
                : [Sum(parts.Excess) + parts.Kl, Sum(parts.Units * w["unit_weight"]), parts.Near, parts.Far];
        }
    }
}
