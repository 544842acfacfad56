using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The options of a variational autoencoder of tables (Kingma and Welling 2014; Xu 2019) whose decoder is
/// autoregressive (Chen 2017).
/// </summary>
public sealed record TabularVaeOptions : TabularOptions
{
    // Some 250 steps suffice for a small table, which more let learn by heart; a large one is worth more. It is read 24
    // times where that takes no more than 1000 steps, and otherwise ten times.
    private const long MinRows = 64_000, ManyRows = 256_000, MaxRows = 1_024_000;
    private const int Passes = 24;

    /// <summary>All defaults.</summary>
    /// <remarks>
    /// A tenth of the rows is held back by default, to keep the weights that suit new rows best, and training is not
    /// ended early: <see cref="TrainingOptions.ValidationFraction"/> is 0.1 and
    /// <see cref="TrainingOptions.EarlyStoppingPatience"/> 0.
    /// </remarks>
    public TabularVaeOptions()
    {
        ValidationFraction = 0.1;
        EarlyStoppingPatience = 0;
        WeightAverageDecay = 0.995;
    }

    /// <summary>The number of features of a row's latent vector. 1 to 65,536. Default 16.</summary>
    public int LatentDimension { get; init; } = 16;

    /// <summary>
    /// Width of the hidden layers that each column has in the decoder, and of what the decoder remembers of the columns
    /// before; the encoder's layers are twice as wide. 1 to 32,768. Default: 128, and 64 for more than 200 columns.
    /// </summary>
    public int? HiddenWidth { get; init; }

    /// <summary>
    /// The weight β of the KL term (Higgins 2017): more keeps latent vectors closer to the prior. Zero or more.
    /// Default 1.
    /// </summary>
    public double KlWeight { get; init; } = 1;

    /// <summary>
    /// Nats of each latent feature's KL term, in the mean over the batch, that training leaves alone (Kingma 2016).
    /// Without them the decoder would do without the latent vector, for it sees the columns themselves. Zero or more.
    /// Default 0.1.
    /// </summary>
    public double FreeBits { get; init; } = 0.1;

    /// <summary>The share of hidden units left out in a training step. In [0, 1). Default 0.2.</summary>
    public double Dropout { get; init; } = 0.2;

    internal override bool UsesModes => false;

    internal override TableNetwork CreateNetwork(TokenTable tokens) => new TabularVaeNetwork(this, tokens);

    internal override (TabularOptions Options, long? Steps) Resolve(long trainingRows, int columns)
    {
        int hidden = HiddenWidth ?? (columns > WideColumns ? 64 : 128);
        return (this with { HiddenWidth = hidden }).ByRows(
            trainingRows, columns, hidden, Passes, MinRows, ManyRows, MaxRows, 3e-3, 0.1);
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(LatentDimension, 1, OptionChecks.MaxWidth);
        if (HiddenWidth is int width)
            OptionChecks.Within(width, 1, OptionChecks.MaxWidth / 2, nameof(HiddenWidth));
        OptionChecks.NonNegativeFinite(KlWeight);
        OptionChecks.NonNegativeFinite(FreeBits);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
    }
}

/// <summary>
/// A variational autoencoder of rows of tokens whose decoder is autoregressive (Chen 2017): the latent vector tells
/// what columns share, and each column is drawn by it and by the columns before. What the decoder knows is a sum, C
/// wide, to which the latent vector and each token add what they tell; each position has two hidden layers of its own,
/// H wide, on it. Tokens of numbers have, beside vectors of their own, smooth functions of where they lie, so that
/// neighbours are alike from the start; the rarer a token, the less its own vectors count.
/// </summary>
internal sealed class TabularVaeNetwork(TabularVaeOptions options, TokenTable tokens) : TableNetwork(tokens)
{
    private const float MinLogVariance = -8, MaxLogVariance = 4;

    // Rows that are drawn for each that is asked for with a condition; one of them is taken. More come closer to the
    // distribution that the model has among rows that meet the condition.
    private const int Candidates = 8;

    // Rows under conditions are cut after one of so many parts of their positions, as each cut has passes of its own.
    private const int Cuts = 4;

    private readonly int _latent = options.LatentDimension;
    private readonly int _hidden = options.HiddenWidth!.Value;

    public override int PositionsPerRow => Positions;

    public override bool TakesTotals => options.FreeBits > 0;

    private int Positions => Tokens.Columns.Count;

    public override void Declare(Layers layers)
    {
        DeclareTrained(layers);
        int width = 2 * _hidden;
        layers.Parameter("encoder.bias", 0, width);
        layers.Linear("encoder.hidden", width, width);
        layers.Linear("encoder.mu", width, _latent);
        layers.Linear("encoder.log_var", width, _latent);
        for (int p = 0; p < Positions; p++)
        {
            layers.Parameter($"encoder.{p}.tokens", 0, Tokens.Counts[p], width);
            DeclareSmooth(layers, p, ("encoder", width), ("output", _hidden), ("decoder", p < Positions - 1 ? _hidden : 0));
        }
    }

    public override void DeclareTrained(Layers layers)
    {
        layers.Linear("decoder.latent", _latent, _hidden);
        for (int p = 0; p < Positions; p++)
        {
            layers.Linear($"decoder.{p}.known", _hidden, _hidden);
            layers.Linear($"decoder.{p}.latent", _latent, _hidden, bias: false);
            layers.Linear($"decoder.{p}.hidden", _hidden, _hidden);
            layers.Linear($"decoder.{p}.output", _hidden, Tokens.Counts[p]);
            if (p < Positions - 1) // nothing is drawn after the last
                layers.Parameter($"decoder.{p}.tokens", 0, Tokens.Counts[p], _hidden);
        }
    }

    public override void Initialize(HostWeights weights, ulong seed)
    {
        double embedding = 1 / Math.Sqrt(Positions), smooth = 0.3 / Math.Sqrt(Positions);
        for (int p = 0; p < Positions; p++)
        {
            Draw($"decoder.{p}.known.weight", Math.Sqrt(2.0 / _hidden));
            Draw($"decoder.{p}.known.bias", 0);
            Draw($"decoder.{p}.latent.weight", 0.05);
            Draw($"decoder.{p}.hidden.weight", Math.Sqrt(1.0 / _hidden));
            Draw($"decoder.{p}.hidden.bias", 0);
            Draw($"decoder.{p}.output.weight", 0.02);
            Draw($"encoder.{p}.tokens", embedding);
            if (p < Positions - 1)
                Draw($"decoder.{p}.tokens", embedding);
            InitializeTokens(weights, p, $"decoder.{p}.output.bias");
            if (!IsSmooth(p))
                continue;
            Draw($"smooth.{p}.encoder", smooth);
            if (p < Positions - 1)
                Draw($"smooth.{p}.decoder", smooth);
        }

        void Draw(string name, double deviation) => FillNormal(weights[name], deviation, seed++);
    }

    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        (torch.Tensor reconstruction, torch.Tensor kl) = NegativeElbo(w, batch[0], step.Random, options.Dropout);
        torch.Tensor klWithFreeBits = options.FreeBits > 0 ? step.AtLeast(kl, options.FreeBits) : kl;
        return Terms(reconstruction, klWithFreeBits);
    }

    public override IReadOnlyList<LossTerm> ValidationLoss(Scope<TorchTensor> w, Batch batch, StepContext step)
    {
        (torch.Tensor reconstruction, torch.Tensor kl) = NegativeElbo(w, batch[0], step.Random, dropout: 0);
        return Terms(reconstruction, kl);
    }

    /// <summary>
    /// The two parts of the negative ELBO of rows of tokens, (B, positions), in nats: their mean negative
    /// log-likelihood, and the mean KL divergence of each latent feature from the prior, (Z).
    /// </summary>
    public (torch.Tensor Reconstruction, torch.Tensor Kl) NegativeElbo(
        Scope<TorchTensor> w, torch.Tensor rows, SeededRandom random, double dropout)
    {
        long count = rows.shape[0];
        torch.Tensor[] position = rows.unbind(1); // (B) each
        TorchTensor sum = w["encoder.bias"];
        for (int p = 0; p < Positions; p++)
            sum += Vectors(w, p, $"encoder.{p}.tokens", "encoder").Embed(position[p]);
        TorchTensor x = sum.Apply(Function.Relu);
        x = Keep(2 * _hidden) is { } kept ? x * kept : x;
        x = w.Linear("encoder.hidden", x).Apply(Function.Relu);
        TorchTensor mu = w.Linear("encoder.mu", x);
        TorchTensor logVar = w.Linear("encoder.log_var", x).Clamp(MinLogVariance, MaxLogVariance);
        TorchTensor z = mu + (logVar * 0.5f).Apply(Function.Exp) * new TorchTensor(random.Normal([count, _latent]));

        TorchTensor known = w.Linear("decoder.latent", z);
        TorchTensor? keep = Keep(_hidden); // the same units in all positions: one draw instead of many
        TorchTensor? nll = null;
        for (int p = 0; p < Positions; p++)
        {
            TorchTensor hidden = Hidden(w.Of($"decoder.{p}"), known, z, keep);
            TorchTensor output = Vectors(w, p, $"decoder.{p}.output.weight", "output");
            TorchTensor logits = hidden.Linear(output, w[$"decoder.{p}.output.bias"]);
            TorchTensor seen = torch.nn.functional.cross_entropy(
                logits, position[p], reduction: torch.nn.Reduction.Sum);
            nll = nll is { } others ? others + seen : seen;
            if (p < Positions - 1)
                known += Vectors(w, p, $"decoder.{p}.tokens", "decoder").Embed(position[p]);
        }
        TorchTensor kl = (mu * mu + logVar.Apply(Function.Exp) - logVar - 1) * 0.5f;
        return (nll!.Value / count, kl.Value.mean([0L]));

        TorchTensor? Keep(long width) => dropout > 0
            ? new TorchTensor(random.Bernoulli([count, width], 1 - dropout).Scaled(1 / (1 - dropout)))
            : (TorchTensor?)null;
    }

    // Only the decoder is kept, with the smooth functions worked in.
    public override HostWeights Trained(HostWeights weights)
    {
        for (int p = 0; p < Positions; p++)
        {
            WorkInSmooth(weights, p, $"decoder.{p}.output.weight", "output");
            if (p < Positions - 1)
                WorkInSmooth(weights, p, $"decoder.{p}.tokens", "decoder");
        }
        return base.Trained(weights);
    }

    public override (OnnxContent Content, IForwardPass Pass, (string Name, int Width)[] Inputs, string[] Outputs) File => (
        OnnxContent.Generate, new DrawPass(this, 0, Positions, isLimited: false),
        [("random_normal", _latent), ("random_uniform", Positions)], ["tokens"]);

    // Under conditions several candidates are drawn of each row, as far as conditions reach, each token among those
    // allowed. One is taken, as likely as the product of the shares that were left, and goes on to its end: so what was
    // drawn before a condition goes with it, too.
    public override (float[] Tokens, float[] Offsets) Draw(
        RunPass run, IReadOnlyList<TokenColumn> columns, SplitMix64[] random)
    {
        int rows = random.Length, cut = CutAfter(columns), left = Positions - cut;
        float[] z = new float[rows * _latent], start = new float[rows * cut];
        if (cut > 0)
            DrawLimited(run, columns, random, cut, z, start);
        float[] uniform = new float[rows * left];
        for (int row = 0; row < rows; row++)
        {
            if (cut == 0)
                NormalNumbers.Fill(ref random[row], z.AsSpan(row * _latent, _latent));
            FillUniform(ref random[row], uniform.AsSpan(row * left, left));
        }
        if (left == 0)
            return (start, []);
        float[] tokens = new float[rows * Positions];
        run(
            $"from {cut}", () => new DrawPass(this, cut, Positions, isLimited: false), rows,
            cut > 0 ? [z, uniform, start] : [z, uniform], tokens);
        return (tokens, []);
    }

    /// <summary>How many positions are drawn as candidates: at least to the last that is limited.</summary>
    private int CutAfter(IReadOnlyList<TokenColumn> columns)
    {
        int limited = Positions;
        while (limited > 0 && columns[limited - 1].Allowed is null)
            limited--;
        int part = (Positions + Cuts - 1) / Cuts;
        return Math.Min(Positions, (limited + part - 1) / part * part);
    }

    /// <summary>Draws candidates up to a position, and takes one for each row: its latent vector, its tokens.</summary>
    private void DrawLimited(
        RunPass run, IReadOnlyList<TokenColumn> columns, SplitMix64[] random, int cut, float[] z, float[] start)
    {
        int candidates = random.Length * Candidates, width = Tokens.Starts[cut];
        float[] allowed = Allowed(columns, cut), limits = new float[candidates * width];
        float[] tried = new float[candidates * _latent], uniform = new float[candidates * cut];
        float[] tokens = new float[candidates * cut], sums = new float[candidates * cut];
        for (int i = 0; i < candidates; i++)
        {
            NormalNumbers.Fill(ref random[i / Candidates], tried.AsSpan(i * _latent, _latent));
            FillUniform(ref random[i / Candidates], uniform.AsSpan(i * cut, cut));
            allowed.CopyTo(limits, i * width);
        }
        run(
            $"to {cut}", () => new DrawPass(this, 0, cut, isLimited: true), candidates, [tried, uniform, limits],
            tokens, sums);
        double[] logWeight = new double[Candidates];
        for (int row = 0; row < random.Length; row++)
        {
            for (int i = 0; i < Candidates; i++)
            {
                logWeight[i] = 0;
                foreach (float sum in sums.AsSpan((row * Candidates + i) * cut, cut))
                    logWeight[i] += Math.Log(sum);
            }
            double most = logWeight.Max();
            double[] upTo = Cumulative.Sums(logWeight.Select(log => Math.Exp(log - most)));
            int taken = row * Candidates + Cumulative.Draw(upTo, ref random[row]);
            tried.AsSpan(taken * _latent, _latent).CopyTo(z.AsSpan(row * _latent));
            tokens.AsSpan(taken * cut, cut).CopyTo(start.AsSpan(row * cut));
        }
    }

    /// <summary>A position's hidden layers: what is known (B, C), the latent vector (B, Z) → (B, H).</summary>
    private static T Hidden<T>(Scope<T> position, T known, T z, T? keep)
        where T : struct, ITensor<T>
    {
        T hidden = (position.Linear("known", known) + position.Linear("latent", z)).Apply(Function.Relu);
        if (keep is { } units)
            hidden *= units;
        return hidden + position.Linear("hidden", hidden).Apply(Function.Relu);
    }

    private LossTerm[] Terms(torch.Tensor reconstruction, torch.Tensor kl) =>
        [new("reconstruction", reconstruction), new("kl", kl.sum().Scaled(options.KlWeight))];

    // The tokens of some positions, one after the other: latent vectors (B, Z), uniform numbers (B, positions), and
    // either the tokens of the positions before, or the share of each token's values that is allowed, (B, tokens) → all
    // tokens so far, and what conditions left of the shares, (B, positions).
    private sealed class DrawPass(TabularVaeNetwork network, int from, int to, bool isLimited) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            T z = inputs[0], known = w.Linear("decoder.latent", z);
            var tokens = new T[to];
            for (int p = 0; p < from; p++)
            {
                tokens[p] = inputs[2].Slice(1, p, 1);
                known += Told(w, p, tokens[p]);
            }
            var sums = new T[to - from];
            for (int p = from; p < to; p++)
            {
                Scope<T> position = w.Of($"decoder.{p}");
                T logits = position.Linear("output", Hidden(position, known, z, null));
                (tokens[p], sums[p - from]) = network.Choose(
                    w, p, logits, inputs[1].Slice(1, p - from, 1), isLimited ? inputs[2] : null);
                if (p < network.Positions - 1)
                    known += Told(w, p, tokens[p]);
            }
            T drawn = T.Concat(1, tokens);
            return isLimited ? [drawn, T.Concat(1, sums)] : [drawn];
        }

        private static T Told<T>(Scope<T> w, int position, T token)
            where T : struct, ITensor<T> => w[$"decoder.{position}.tokens"].Embed(token.ToIndices().Squeeze(1));
    }
}

/// <summary>Learns a table of mixed columns with a variational autoencoder, to generate rows like its own.</summary>
/// <remarks>
/// <para>
/// To create this trainer, use <see cref="GenerativeCatalog.TabularVae(string?, int?)"/> or
/// <see cref="GenerativeCatalog.TabularVae(TabularVaeOptions)"/>. <see cref="TabularDiffusionTrainer"/> says when to use
/// which.
/// </para>
/// <inheritdoc cref="TabularEstimator" path="/remarks"/>
/// </remarks>
public sealed class TabularVaeTrainer : TabularEstimator
{
    internal TabularVaeTrainer(IHostEnvironment environment, TabularVaeOptions options)
        : base(environment, nameof(TabularVaeTrainer), options)
    {
    }
}
