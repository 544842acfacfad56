using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The options of a conditional GAN of tables (CTGAN, Xu 2019): a Wasserstein game with gradient penalty (Gulrajani
/// 2017) about rows with a category or a mode of one column given, chosen by log-frequency.
/// </summary>
public sealed record TabularGanOptions : TabularOptions
{
    private const int DefaultSteps = 6000;
    private const int MaxLayers = 16;

    /// <summary>All defaults.</summary>
    /// <remarks>
    /// Gradients are not clipped by default: <see cref="TrainingOptions.GradientClipNorm"/> is 0. No loss of a GAN says
    /// which weights are better, so none are chosen by <see cref="TrainingOptions.ValidationFraction"/>.
    /// </remarks>
    public TabularGanOptions()
    {
        GradientClipNorm = 0;
        WeightAverageDecay = 0.99;
    }

    /// <summary>The number of features of the noise. 1 to 65,536. Default 128.</summary>
    public int NoiseDimension { get; init; } = 128;

    /// <summary>
    /// The widths of the generator's hidden layers, each of which is added to what it is given, and of the
    /// discriminator's. 1 to 16 layers of 1 to 65,536 units. Default: 256, 256.
    /// </summary>
    public IReadOnlyList<int> HiddenLayers { get; init; } = [256, 256];

    /// <summary>
    /// Rows that the discriminator judges together, so that it sees how much they vary (PacGAN, Lin 2018). 1 to 100.
    /// Default 10.
    /// </summary>
    public int PackSize { get; init; } = 10;

    /// <summary>Updates of the discriminator for each one of the generator. 1 to 100. Default 1.</summary>
    public int DiscriminatorStepsPerGeneratorStep { get; init; } = 1;

    /// <summary>The weight of the gradient penalty. Zero or more. Default 10.</summary>
    public double GradientPenaltyWeight { get; init; } = 10;

    /// <summary>
    /// The temperature of the Gumbel-softmax (Jang 2017) by which generated categories have a gradient: lower ones come
    /// closer to categories. Positive. Default 0.2.
    /// </summary>
    public double Temperature { get; init; } = 0.2;

    /// <summary>The share of the discriminator's hidden units left out. In [0, 1). Default 0.5.</summary>
    public double Dropout { get; init; } = 0.5;

    internal override bool UsesModes => true;

    internal override TableNetwork CreateNetwork(TokenTable tokens) => new TabularGanNetwork(this, tokens);

    internal override (TabularOptions Options, long? Steps) Resolve(long trainingRows, int columns) =>
        (With(trainingRows, 500, 2e-4, 1e-6, DefaultSteps), Epochs is null ? DefaultSteps : null);

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(NoiseDimension, 1, OptionChecks.MaxWidth);
        OptionChecks.Within(HiddenLayers.Count, 1, MaxLayers, "HiddenLayers.Count");
        foreach (int width in HiddenLayers)
            OptionChecks.Within(width, 1, OptionChecks.MaxWidth, nameof(HiddenLayers));
        OptionChecks.Within(PackSize, 1, 100);
        OptionChecks.Within(DiscriminatorStepsPerGeneratorStep, 1, 100);
        OptionChecks.NonNegativeFinite(GradientPenaltyWeight);
        OptionChecks.PositiveFinite(Temperature);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
    }
}

/// <summary>
/// A conditional GAN of rows of tokens and offsets (CTGAN, Xu 2019). The generator makes them of noise and of the token
/// that is given in one position; each of its hidden layers sees all before it. The discriminator judges packs of rows
/// with the tokens that were given. Both train on rows that were drawn again from the batch: a column at random, and
/// rows by the log-frequency of their token in it, so that rare ones are seen.
/// </summary>
internal sealed class TabularGanNetwork(TabularGanOptions options, TokenTable tokens) : TableNetwork(tokens)
{
    private const GanObjective Objective = GanObjective.WassersteinGradientPenalty;
    private const float NegativeSlope = 0.2f;

    private static readonly AdamSettings s_adam = new(0.5, 0.9);

    public override bool UsesValidationLoss => false; // no loss of a GAN says which weights are better

    public override string AveragedPart => "generator.";

    private int TokenCount => Tokens.Starts[^1];

    private int Offsets => Tokens.Offsets;

    public override void Declare(Layers layers)
    {
        DeclareTrained(layers);
        layers.Buffer("draw.weights", TokenCount, 1);
        layers.Buffer("draw.starts", Tokens.Columns.Count);
        int[] widths = [options.PackSize * (2 * TokenCount + Offsets), .. options.HiddenLayers, 1];
        for (int i = 0; i < widths.Length - 1; i++)
            layers.Linear($"discriminator.{i}", widths[i], widths[i + 1]);
    }

    public override void DeclareTrained(Layers layers)
    {
        int width = options.NoiseDimension + TokenCount;
        for (int i = 0; i < options.HiddenLayers.Count; i++)
        {
            layers.Linear($"generator.hidden.{i}", width, options.HiddenLayers[i]);
            layers.BatchNorm($"generator.norms.{i}", options.HiddenLayers[i]);
            width += options.HiddenLayers[i];
        }
        layers.Linear("generator.output", width, TokenCount + Offsets);
    }

    public override void Initialize(HostWeights weights, ulong seed)
    {
        float[] drawn = weights["draw.weights"], starts = weights["draw.starts"];
        for (int p = 0; p < Tokens.Columns.Count; p++)
        {
            starts[p] = Tokens.Starts[p];
            for (int t = 0; t < Tokens.Counts[p]; t++)
            {
                long n = Tokens.Frequencies[p][t];
                drawn[Tokens.Starts[p] + t] = n > 0 ? (float)(Math.Log(1.0 + n) / n) : 0;
            }
        }
    }

    public override int RowsTogether => options.PackSize;

    public override IReadOnlyList<UpdateRule> Updates(TorchLayers layers) =>
    [
        new UpdateRule("discriminator", layers.Parameters("discriminator."), Adam: s_adam),
        new UpdateRule(
            "generator", layers.Parameters("generator."), options.DiscriminatorStepsPerGeneratorStep, Adam: s_adam),
    ];

    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        (torch.Tensor real, torch.Tensor condition) = DrawAgain(w, batch, step.Random);
        torch.Tensor noise = step.Random.Normal([real.shape[0], options.NoiseDimension]);
        if (update > 0)
        {
            torch.Tensor output = Generate<TorchTensor>(w, noise, condition);
            torch.Tensor judged = Judge(WithCondition(Rows(output, step.Random)));
            return
            [
                new LossTerm("generator", GanLoss.Generator(Objective, judged)),
                new LossTerm("condition", ConditionLoss(output, condition)),
            ];
        }
        torch.Tensor made;
        using (torch.no_grad())
            made = WithCondition(Rows(Generate<TorchTensor>(w, noise, condition), step.Random));
        real = WithCondition(real);
        torch.Tensor penalty = GanLoss.GradientPenalty(Judge, real, made, options.PackSize, step.Random);
        return
        [
            new LossTerm("discriminator", GanLoss.Discriminator(Objective, Judge(real), Judge(made), 0)),
            new LossTerm("gradient penalty", penalty.Scaled(options.GradientPenaltyWeight)),
        ];

        torch.Tensor WithCondition(torch.Tensor rows) => torch.cat([rows, condition], 1);

        // (B, row + T) → (B / p, 1)
        torch.Tensor Judge(torch.Tensor rows)
        {
            TorchTensor x = rows.reshape(rows.shape[0] / options.PackSize, -1);
            int layers = options.HiddenLayers.Count;
            for (int i = 0; i < layers; i++)
            {
                x = w.Linear($"discriminator.{i}", x).LeakyRelu(NegativeSlope);
                x = w.Dropout(x, options.Dropout);
            }
            return w.Linear($"discriminator.{layers}", x);
        }
    }

    public override (OnnxContent Content, IForwardPass Pass, (string Name, int Width)[] Inputs, string[] Outputs) File => (
        OnnxContent.Generate, new DrawPass(this, isLimited: false),
        [("random_normal", options.NoiseDimension), ("given", TokenCount), ("random_uniform", Tokens.Columns.Count)],
        Offsets > 0 ? ["tokens", "offsets"] : ["tokens"]);

    public override (float[] Tokens, float[] Offsets) Draw(
        RunPass run, IReadOnlyList<TokenColumn> columns, SplitMix64[] random)
    {
        int rows = random.Length, noiseWidth = options.NoiseDimension, positions = columns.Count;
        bool isLimited = columns.Any(c => c.Allowed is not null);
        float[] noise = new float[rows * noiseWidth], uniform = new float[rows * positions];
        float[] condition = new float[rows * TokenCount], allowed = new float[isLimited ? rows * TokenCount : 0];
        // The token that is given is of a position that is limited, if there is one, as often as in training rows.
        int[] given = [.. Enumerable.Range(0, positions).Where(p => !isLimited || columns[p].Allowed is not null)];
        double[][] upTo = [.. given.Select(p => Cumulative.Sums(
            Tokens.Frequencies[p].Select((n, t) => n * (double)(columns[p].Allowed?[t] ?? 1))))];
        float[] limits = isLimited ? Allowed(columns, positions) : [];
        for (int row = 0; row < rows; row++)
        {
            NormalNumbers.Fill(ref random[row], noise.AsSpan(row * noiseWidth, noiseWidth));
            int i = random[row].Next(given.Length);
            int token = Cumulative.Draw(upTo[i], ref random[row]);
            condition[row * TokenCount + Tokens.Starts[given[i]] + token] = 1;
            FillUniform(ref random[row], uniform.AsSpan(row * positions, positions));
            limits.CopyTo(allowed, row * limits.Length);
        }
        float[] drawn = new float[rows * positions], offsets = new float[rows * Offsets];
        run(
            isLimited ? "limited" : "free", () => new DrawPass(this, isLimited), rows,
            isLimited ? [noise, condition, uniform, allowed] : [noise, condition, uniform],
            offsets.Length > 0 ? [drawn, offsets] : [drawn]);
        return (drawn, offsets);
    }

    /// <summary>Noise (B, Z), a one for the token that is given (B, T) → logits and raw offsets, (B, row).</summary>
    private T Generate<T>(Scope<T> w, T noise, T condition)
        where T : struct, ITensor<T>
    {
        T x = T.Concat(1, noise, condition);
        for (int i = 0; i < options.HiddenLayers.Count; i++)
        {
            T hidden = w.BatchNorm($"generator.norms.{i}", w.Linear($"generator.hidden.{i}", x)).Apply(Function.Relu);
            x = T.Concat(1, hidden, x);
        }
        return w.Linear("generator.output", x);
    }

    /// <summary>The generator's output as rows, (B, row): tokens by Gumbel-softmax, offsets in [−1, 1].</summary>
    private torch.Tensor Rows(torch.Tensor output, SeededRandom random)
    {
        torch.Tensor[] parts = Parts(output);
        torch.Tensor uniform = random.Uniform([output.shape[0], TokenCount], 1e-7, 1 - 1e-7);
        torch.Tensor[] gumbel = uniform.log().neg().log().neg().split([.. Tokens.Counts.Select(n => (long)n)], 1);
        for (int p = 0; p < gumbel.Length; p++)
            parts[p] = parts[p].Plus(gumbel[p]).Over(options.Temperature).softmax(1);
        if (Offsets > 0)
            parts[^1] = parts[^1].tanh();
        return torch.cat(parts, 1);
    }

    /// <summary>How unlikely the generator's rows have the token that was given, in nats, a scalar.</summary>
    private torch.Tensor ConditionLoss(torch.Tensor output, torch.Tensor condition)
    {
        torch.Tensor log = torch.cat([.. Parts(output).Take(Tokens.Columns.Count).Select(p => p.log_softmax(1))], 1);
        return log.mul(condition).sum(1L).mean().neg();
    }

    /// <summary>The logits of each position, and the offsets.</summary>
    private torch.Tensor[] Parts(torch.Tensor output) =>
        output.split([.. Tokens.Counts.Select(n => (long)n), .. Offsets > 0 ? new long[] { Offsets } : []], 1);

    /// <summary>Rows drawn again from a batch, in whole packs, (B, row), and the tokens by which, (B, T).</summary>
    private (torch.Tensor Rows, torch.Tensor Condition) DrawAgain(
        Scope<TorchTensor> w, Batch batch, SeededRandom random)
    {
        using IDisposable noGradient = torch.no_grad();
        int packs = Math.Max(1, batch.Rows / options.PackSize);
        long rows = (long)packs * options.PackSize;
        torch.Tensor starts = w["draw.starts"].ToIndices();
        torch.Tensor all = batch[0].Plus(starts); // (batch, positions), counted over all
        long positions = all.shape[1];
        torch.Tensor upTo = w["draw.weights"].Value.index_select(0, all.view(-1)).view(-1, positions).t().cumsum(1);
        torch.Tensor position = random.Uniform([rows], 0, positions).to(torch.ScalarType.Int64)
            .minimum(HostTensors.Index([positions - 1], all.device));
        torch.Tensor sums = upTo.index_select(0, position); // (B, batch)
        torch.Tensor point = random.Uniform([rows, 1], 0, 1).mul(sums.narrow(1, sums.shape[1] - 1, 1));
        torch.Tensor row = sums.lt(point).to(torch.ScalarType.Int64).sum(1L)
            .minimum(HostTensors.Index([batch.Rows - 1], all.device));
        torch.Tensor drawn = all.index_select(0, row);
        torch.Tensor hot = OneHot(drawn);
        return (
            batch.Fields.Count > 1 ? torch.cat([hot, batch[1].index_select(0, row)], 1) : hot,
            OneHot(drawn.gather(1, position.unsqueeze(1))));
    }

    /// <summary>A one where tokens are that are counted over all positions, (B, n) → (B, T).</summary>
    private torch.Tensor OneHot(torch.Tensor indices) =>
        torch.zeros([indices.shape[0], TokenCount], torch.ScalarType.Float32, indices.device)
            .scatter_(1, indices, torch.ones(indices.shape, torch.ScalarType.Float32, indices.device));

    // Noise (B, Z), the token that is given (B, T), uniform numbers (B, positions), the share of each token's values
    // that is allowed (B, T) → tokens (B, positions), offsets (B, offsets).
    private sealed class DrawPass(TabularGanNetwork network, bool isLimited) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            T zero = w.Constant(0);
            T output = network.Generate(w, inputs[0], T.IfLess(zero, inputs[1], inputs[1], zero)); // NaN: not given
            TokenTable tokens = network.Tokens;
            var drawn = new T[tokens.Columns.Count];
            for (int p = 0; p < drawn.Length; p++)
            {
                T logits = output.Slice(1, tokens.Starts[p], tokens.Counts[p]);
                (drawn[p], _) = network.Choose(
                    w, p, logits, inputs[2].Slice(1, p, 1), isLimited ? inputs[3] : null);
            }
            T all = T.Concat(1, drawn);
            return network.Offsets == 0
                ? [all]
                : [all, output.Slice(1, network.TokenCount, network.Offsets).Apply(Function.Tanh)];
        }
    }
}

/// <summary>
/// Learns a table of mixed columns with conditional generative adversarial networks, to generate rows like its own.
/// </summary>
/// <remarks>
/// <para>
/// To create this trainer, use <see cref="GenerativeCatalog.TabularGan(string?, int?)"/> or
/// <see cref="GenerativeCatalog.TabularGan(TabularGanOptions)"/>.
/// </para>
/// <inheritdoc cref="TabularEstimator" path="/remarks"/>
/// </remarks>
public sealed class TabularGanTrainer : TabularEstimator
{
    internal TabularGanTrainer(IHostEnvironment environment, TabularGanOptions options)
        : base(environment, nameof(TabularGanTrainer), options)
    {
    }
}
