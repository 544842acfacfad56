using TorchSharp;
using static TorchSharp.torch.nn.functional;

namespace GenerativeML;

/// <summary>
/// The two networks of a GAN, whatever they are made of. The generator makes rows of noise and condition; the
/// discriminator judges rows with their conditions, several together where options say so: the higher, the more real.
/// </summary>
internal abstract class AdversarialNetwork(AdversarialOptions options, VectorInput input)
    : VectorNetwork(input), IScorer, IReconstructor, ISampler
{
    /// <summary>The number of the discriminator's update; the generator's is the next.</summary>
    public const int DiscriminatorUpdate = 0;

    /// <summary>How the names of the networks' tensors begin.</summary>
    protected const string Generator = "generator", Discriminator = "discriminator";

    // Of a latent search (Schlegl 2017): λ, and Adam's constants.
    private const float FeatureWeight = 0.1f;
    private const double Rate = 0.05, Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1e-8;
    private const int Candidates = 64;

    private torch.Tensor? _made; // in training, rows that were judged, for the generator's update of the same step

    public virtual int NormalWidth => LatentWidth;

    /// <summary>The first of the normal numbers: what truncation of the noise is about.</summary>
    public int LatentWidth => options.NoiseDimension!.Value;

    /// <summary>Whether the discriminator's layers are divided by their largest singular values.</summary>
    protected bool IsSpectral => options.SpectralNormalization!.Value;

    /// <summary>The layers of the discriminator that are.</summary>
    private IReadOnlyList<string> SpectralLayers => field ??=
    [
        .. Declared().Tensors.Where(t => t.Name.EndsWith(SpectralNorm.Left, StringComparison.Ordinal))
            .Select(t => t.Name[..^SpectralNorm.Left.Length]),
    ];

    /// <summary>Noise (B, Z), conditions (B, C) → rows (B, D).</summary>
    protected abstract T Generate<T>(Scope<T> w, T latent, T? condition)
        where T : struct, ITensor<T>;

    /// <summary>Rows in whole packs of p → judgements, (B / p, 1).</summary>
    protected abstract T Judge<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>;

    /// <summary>The discriminator's last hidden layer of rows, each by itself, (B, D) → (B, features).</summary>
    protected abstract T Features<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>;

    /// <summary>What the discriminator says of rows, each by itself, (B, D) → (B, 1).</summary>
    public abstract T JudgeAlone<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>;

    /// <summary>What the discriminator sees in the place of rows, real or generated (B, D), in training.</summary>
    public virtual torch.Tensor Augmented(torch.Tensor rows, SeededRandom random) => rows;

    /// <summary>Real rows, (B, D), as the discriminator is to see them now, in training.</summary>
    protected virtual TorchTensor Real(Scope<TorchTensor> w, TorchTensor rows) => rows;

    /// <summary>What the generator lowers beside its objective, if anything.</summary>
    protected virtual IEnumerable<LossTerm> GeneratorPenalties(Scope<TorchTensor> w) => [];

    // No loss of a GAN says which weights are better.
    public override bool UsesValidationLoss => false;

    public override string AveragedPart => Generator;

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        for (int i = 0; IsSpectral && i < SpectralLayers.Count; i++)
        {
            ulong seed = SplitMix64.Derive(Input.Seed, RandomPurpose.Initialization, i + 1);
            SpectralNorm.Initialize(weights, SpectralLayers[i], seed);
        }
    }

    // A latent search goes down a gradient.
    public override bool RequiresTorch(VectorOutputs wanted) => wanted.HasFlag(VectorOutputs.Reconstruction)
        || wanted.HasFlag(VectorOutputs.Score) && options.Score == GanScore.LatentSearch;

    public override int RowsTogether => options.Pack;

    public override IReadOnlyList<UpdateRule> Updates(TorchLayers layers) =>
    [
        new UpdateRule(Discriminator, layers.Parameters(Discriminator), Adam: options.Adam, LeavesGraph: true),
        new UpdateRule(
            Generator, layers.Parameters(Generator), options.DiscriminatorStepsPerGeneratorStep!.Value,
            options.GeneratorRateScale, options.Adam),
    ];

    public override IReadOnlyList<LossTerm> Loss(VectorStep step)
    {
        (Scope<TorchTensor> w, SeededRandom random) = (step.Weights, step.Step.Random);
        VectorRows<TorchTensor> real = WholePacks(step.Inputs);
        double deviation = options.InstanceNoise!.Value * (1 - step.Step.Step / (double)step.Step.Steps);
        if (step.Update != DiscriminatorUpdate)
        {
            TorchTensor made = Seen(_made ?? Made());
            _made = null;
            return [new LossTerm(Generator, GanLoss.Generator(options.Objective, Judged(made))), .. GeneratorPenalties(w)];
        }
        TorchTensor generated = Seen(Judgeable());
        TorchTensor seen = Seen(Real(w, real.Features));
        List<LossTerm> terms =
        [
            new LossTerm(Discriminator, GanLoss.Discriminator(
                options.Objective, Judged(seen), Judged(generated), options.LabelSmoothing)),
        ];
        if (options.Objective == GanObjective.WassersteinGradientPenalty && options.GradientPenaltyWeight > 0)
        {
            torch.Tensor penalty = GanLoss.GradientPenalty(rows => Judged(rows), seen, generated, options.Pack, random);
            terms.Add(new LossTerm("gradient penalty", penalty.Scaled(options.GradientPenaltyWeight)));
        }
        if (options.R1Weight > 0)
        {
            // In some steps alone, for as much more: the others report that there is none.
            int interval = options.R1Interval!.Value;
            torch.Tensor penalty = step.Step.Step % interval == 0
                ? GanLoss.R1(rows => Judged(rows), seen, options.Pack).Scaled(interval * options.R1Weight!.Value / 2)
                : torch.zeros([], device: seen.Value.device);
            terms.Add(new LossTerm("r1", penalty));
        }
        return terms;

        // In a run both updates of a step are about the same rows, whose noise the step decides, also where it is computed in
        // parts or by several processes.
        TorchTensor Made()
        {
            SeededRandom noise = step.Step.Seed == 0
                ? random
                : new(random.Device, new SplitMix64(step.Step.Seed).Next()) { Rows = random.Rows };
            return Generate(w, noise.Normal([real.Features.Value.shape[0], NormalWidth]), real.Condition);
        }

        // Where a training step is computed as a whole, its generator goes on with what is made here.
        torch.Tensor Judgeable()
        {
            bool goesOn = torch.is_grad_enabled() && step.Step is { Share: 1, Seed: not 0 }
                && (step.Step.Step + 1) % options.DiscriminatorStepsPerGeneratorStep!.Value == 0;
            using IDisposable gradient = torch.set_grad_enabled(goesOn);
            torch.Tensor made = Made();
            _made = goesOn ? made.MoveToOuterDisposeScope() : null;
            return made.detach();
        }

        TorchTensor Seen(TorchTensor rows)
        {
            torch.Tensor augmented = Augmented(rows, random);
            return deviation > 0 ? augmented.Plus(random.Normal(augmented.shape, deviation)) : augmented;
        }

        torch.Tensor Judged(TorchTensor rows) => Judge(w, real with { Features = rows });
    }

    public override void AfterUpdate(TorchLayers layers, int update, StepContext step)
    {
        if (update != DiscriminatorUpdate)
            return;
        if (options.Objective == GanObjective.Wasserstein)
        {
            foreach (torch.Tensor weight in layers.Parameters(Discriminator))
                weight.copy_(weight.Clamped(-options.WeightClip, options.WeightClip));
        }
        for (int i = 0; IsSpectral && i < SpectralLayers.Count; i++)
            SpectralNorm.Iterate(layers.Tensors, SpectralLayers[i]);
    }

    public override TrainingCallback Follow(
        RowStatistics rows, TrainingData data, torch.Device device, Func<TrainedVector> snapshot) =>
        new GanHistory(this, options, rows, data, device, snapshot);

    public virtual T Sample<T>(Scope<T> w, T normal, T? uniform, T? condition)
        where T : struct, ITensor<T> => Generate(w, normal, condition);

    public (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T>
    {
        if (options.Score == GanScore.Discriminator)
            return (-JudgeAlone(w, rows), null);
        T made = rows.Reconstruction ?? Reconstruct(w, rows);
        return (Distance(w, rows, Features(w, rows), made), null);
    }

    // The nearest row that the generator can make (Schlegl 2017, AnoGAN): Adam on the noise that it is made from.
    public T Reconstruct<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> =>
        (object)w is Scope<TorchTensor> weights && (object)rows is VectorRows<TorchTensor> given
            ? (T)(object)Search(weights, given)
            : throw new InvalidOperationException("A latent search takes gradients, and so torch.");

    // Too few rows for a pack are repeated; those that are left over go.
    private VectorRows<TorchTensor> WholePacks(VectorRows<TorchTensor> rows)
    {
        int pack = options.Pack;
        return new(Whole(rows.Features), rows.Condition is { } condition ? Whole(condition) : default(TorchTensor?));

        TorchTensor Whole(torch.Tensor t)
        {
            long count = t.shape[0];
            if (count < pack)
                t = torch.cat([.. Enumerable.Repeat(t, (int)((pack + count - 1) / count))], 0);
            return t.narrow(0, 0, t.shape[0] / pack * pack);
        }
    }

    // How far made rows are from given ones, themselves and as the discriminator sees them: (B, 1).
    private T Distance<T>(Scope<T> w, VectorRows<T> rows, T features, T made)
        where T : struct, ITensor<T>
    {
        T residual = (rows.Features - made).Apply(Function.Abs).Reduce(Reduction.Mean, 1);
        T judged = (features - Features(w, rows with { Features = made })).Apply(Function.Abs);
        return residual * (1 - FeatureWeight) + judged.Reduce(Reduction.Mean, 1) * FeatureWeight;
    }

    private TorchTensor Search(Scope<TorchTensor> w, VectorRows<TorchTensor> rows)
    {
        TorchTensor features = Features(w, rows);
        torch.Tensor latent = BestCandidate(w, rows);
        torch.Tensor mean = torch.zeros_like(latent), square = torch.zeros_like(latent);
        for (int step = 1; step <= options.LatentSearchSteps; step++)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor gradient = Gradient();
            mean.Scale(Beta1).Add(gradient, 1 - Beta1);
            square.Scale(Beta2).AddProduct(gradient, gradient, 1 - Beta2);
            torch.Tensor deviation = square.sqrt().Scale(1 / Math.Sqrt(1 - Math.Pow(Beta2, step))).Add(Epsilon);
            latent.AddQuotient(mean, deviation, -Rate / (1 - Math.Pow(Beta1, step)));
        }
        return Generate(w, WithDetails(latent), rows.Condition);

        // (B, Z); rows do not meet in it.
        torch.Tensor Gradient()
        {
            using IDisposable enabled = torch.set_grad_enabled(true);
            torch.Tensor variable = latent.detach().clone().requires_grad_();
            torch.Tensor distance = Distance(w, rows, features, Generate(w, WithDetails(variable), rows.Condition));
            // Not backward, which would write gradients into the weights, that other threads use as well.
            return torch.autograd.grad([distance.sum()], [variable])[0];
        }
    }

    // Noise (B, Z) → all that rows are made of, (B, N): details stay as they are on average, or they would draw what is strange.
    private torch.Tensor WithDetails(torch.Tensor latent) => NormalWidth == LatentWidth ? latent
        : torch.cat([latent, torch.zeros([latent.shape[0], NormalWidth - LatentWidth], latent.dtype, latent.device)], 1);

    // For each row the best of some noise that is the same for all, (B, Z).
    private torch.Tensor BestCandidate(Scope<TorchTensor> w, VectorRows<TorchTensor> rows)
    {
        torch.Tensor given = rows.Features;
        var random = new SeededRandom(given.device, SplitMix64.Derive(Input.Seed, RandomPurpose.Scoring));
        torch.Tensor candidates = random.Normal([Candidates, LatentWidth]);
        torch.Tensor best = candidates.narrow(0, 0, 1);
        torch.Tensor least = torch.zeros([given.shape[0], 1], given.dtype, given.device).Fill(double.PositiveInfinity);
        for (int c = 0; c < Candidates; c++)
        {
            torch.Tensor candidate = candidates.narrow(0, c, 1).expand(given.shape[0], -1);
            torch.Tensor made = Generate(w, WithDetails(candidate), rows.Condition);
            torch.Tensor distance = given.Minus(made).abs().mean([1L], keepdim: true);
            torch.Tensor nearer = distance.lt(least);
            best = torch.where(nearer, candidate, best);
            least = torch.where(nearer, distance, least);
        }
        return best.clone();
    }
}

/// <summary>
/// What each objective makes of the discriminator's outputs; for the classifiers they are log-odds.
/// </summary>
internal static class GanLoss
{
    private const double Tiny = 1e-12;

    /// <summary>What the discriminator lowers, by its outputs (n, 1) and how far real labels are below one.</summary>
    public static torch.Tensor Discriminator(
        GanObjective objective, torch.Tensor real, torch.Tensor generated, double smoothing) => objective switch
        {
            // −(1 − s)·log D − s·log(1 − D) with D = σ(real), and −log(1 − D) with D = σ(generated)
            GanObjective.Minimax or GanObjective.NonSaturating =>
                real.Softplus().Minus(real.Scaled(1 - smoothing)).mean().Plus(generated.Softplus().mean()),
            GanObjective.LeastSquares =>
                real.Plus(smoothing - 1).Squared().mean().Plus(generated.Squared().mean()).Scaled(0.5),
            GanObjective.Hinge => relu(real.neg().Plus(1.0)).mean().Plus(relu(generated.Plus(1.0)).mean()),
            _ => generated.mean().Minus(real.mean()),
        };

    /// <summary>What the generator lowers, a scalar, given the discriminator's outputs for its packs, (n, 1).</summary>
    public static torch.Tensor Generator(GanObjective objective, torch.Tensor generated) => objective switch
    {
        GanObjective.Minimax => generated.Softplus().mean().neg(), // log(1 − D)
        GanObjective.NonSaturating => generated.neg().Softplus().mean(), // −log D
        GanObjective.LeastSquares => generated.Plus(-1.0).Squared().mean().Scaled(0.5),
        _ => generated.mean().neg(),
    };

    /// <summary>
    /// The mean squared distance of the norm of the discriminator's gradient from one, at random places between real and
    /// generated packs (Gulrajani 2017). It has a gradient of its own, which reaches the discriminator's weights. Where these are
    /// the first rows of a batch, numbers are drawn for as many as it has: <paramref name="rows"/>.
    /// </summary>
    public static torch.Tensor GradientPenalty(
        Func<torch.Tensor, torch.Tensor> judge, torch.Tensor real, torch.Tensor generated, int pack, SeededRandom random, int? rows = null)
    {
        long packs = real.shape[0] / pack;
        torch.Tensor share = random.Uniform([(rows ?? real.shape[0]) / pack, 1, 1], 0, 1).narrow(0, 0, packs)
            .expand(packs, pack, 1).reshape(packs * pack, 1);
        torch.Tensor from = generated.detach();
        torch.Tensor between = from.Plus(real.Minus(from).mul(share)).detach().requires_grad_();
        return SquaredNorm(judge, between, pack).Plus(Tiny).sqrt().Plus(-1.0).Squared().mean();
    }

    /// <summary>
    /// The mean squared norm of the discriminator's gradient at real packs (Mescheder 2018). Its gradient reaches the
    /// discriminator's weights.
    /// </summary>
    public static torch.Tensor R1(Func<torch.Tensor, torch.Tensor> judge, torch.Tensor real, int pack) =>
        SquaredNorm(judge, real.detach().requires_grad_(), pack).mean();

    // Of the gradient of judgements in each pack, (packs).
    private static torch.Tensor SquaredNorm(Func<torch.Tensor, torch.Tensor> judge, torch.Tensor rows, int pack)
    {
        // Where losses are only looked at, too: without a graph, grad ends the process.
        using IDisposable enabled = torch.set_grad_enabled(true);
        torch.Tensor gradient = torch.autograd.grad(
            [judge(rows).sum()], [rows], retain_graph: true, create_graph: true)[0];
        return gradient.reshape(rows.shape[0] / pack, -1).Squared().sum(1L);
    }
}
