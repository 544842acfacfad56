using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The options of a diffusion model of tables: values are hidden one by one, and a network learns to tell hidden ones from
/// those that are left (absorbing diffusion, Austin 2021; Hoogeboom 2022).
/// </summary>
public sealed record TabularDiffusionOptions : TabularOptions
{
    // Some 500 steps suffice for a small table; a large one is worth more. It is read 60 times where that takes no more than
    // 6000 steps, and otherwise ten times.
    private const long MinRows = 128_000, ManyRows = 1_536_000, MaxRows = 3_072_000;
    private const int Passes = 60;

    /// <summary>All defaults.</summary>
    /// <remarks>
    /// A tenth of the rows is held back by default, to keep the weights that suit new rows best, and training is not
    /// ended early: <see cref="TrainingOptions.ValidationFraction"/> is 0.1 and
    /// <see cref="TrainingOptions.EarlyStoppingPatience"/> 0.
    /// </remarks>
    public TabularDiffusionOptions()
    {
        ValidationFraction = 0.1;
        EarlyStoppingPatience = 0;
        WeightAverageDecay = 0.995;
    }

    /// <summary>The width of the network. 1 to 65,536. Default: 256, and 128 for more than 200 columns.</summary>
    public int? HiddenWidth { get; init; }

    /// <summary>Residual blocks, each of two dense layers. 1 to 64. Default 3.</summary>
    public int Blocks { get; init; } = 3;

    /// <summary>The share of hidden units left out in a training step. In [0, 1). Default 0.1.</summary>
    public double Dropout { get; init; } = 0.1;

    /// <summary>
    /// The steps in which a row is generated. Values of one step are drawn independently of each other, so that fewer
    /// steps than columns are faster and lose some of what columns have to do with each other. Columns that a condition
    /// limits take a step each beside these. 1 to 10,000. Default: one for each column, at most 100.
    /// </summary>
    public int SamplingSteps { get; init; } = 100;

    internal override bool UsesModes => false;

    internal override TableNetwork CreateNetwork(TokenTable tokens) => new TabularDiffusionNetwork(this, tokens);

    internal override (TabularOptions Options, long? Steps) Resolve(long trainingRows, int columns)
    {
        int hidden = HiddenWidth ?? (columns > WideColumns ? 128 : 256);
        return (this with { HiddenWidth = hidden }).ByRows(
            trainingRows, columns, hidden, Passes, MinRows, ManyRows, MaxRows, 1e-3, 0.01);
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(HiddenWidth, 1, OptionChecks.MaxWidth);
        OptionChecks.Within(Blocks, 1, 64);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        OptionChecks.Within(SamplingSteps, 1, 10_000);
    }
}

/// <summary>
/// A network that tells the tokens of hidden positions from those of the others. What it sees is a sum, H wide, to which
/// each position adds whether it is known and, if so, a vector of its token; residual blocks h + W₂·silu(W₁·norm(h)) make
/// of it what all positions' logits are linear in.
/// </summary>
/// <remarks>
/// The forward process hides each of P positions at a time of its own, uniform in [0, 1]: at time t a share t of them is
/// hidden. Backwards, with k hidden positions, the next one is any of them alike, and its token is drawn as the network
/// says. The bound of the likelihood is a mean over k of P / k times the sum of what the hidden tokens are unlikely. Where
/// there is a label, it is drawn last, unless a condition limits it; both orders are learned, each by half of the rows.
/// </remarks>
internal sealed class TabularDiffusionNetwork(TabularDiffusionOptions options, TokenTable tokens) : TableNetwork(tokens)
{
    // Rows that are drawn for each that is asked for, where conditions leave several columns more than one token. One of
    // them is taken. More come closer to the distribution that the model has among rows that meet the condition.
    private const int Candidates = 8;

    // In how many rows of the order in which the label comes last it alone is hidden.
    private const double LabelAlone = 0.25;

    private readonly int _hidden = options.HiddenWidth!.Value;

    // Of each position a vector, and its product; of each block what its layers hold; of each token what its loss holds.
    public override long NumbersPerRow => (2L * Positions + 8L * options.Blocks) * _hidden + 3L * Tokens.Starts[^1];

    private int Positions => Tokens.Columns.Count;

    // What decides the label is best learned from all other columns at once. It is at the last position.
    private bool LabelIsLast => Tokens.Shape.Label is not null && Positions > 1;

    public override void Declare(Layers layers)
    {
        DeclareTrained(layers);
        for (int p = 0; p < Positions; p++)
            DeclareSmooth(layers, p, ("input", _hidden), ("output", _hidden));
    }

    public override void DeclareTrained(Layers layers)
    {
        layers.Linear("known", Positions, _hidden);
        for (int p = 0; p < Positions; p++)
        {
            layers.Parameter($"input.{p}", 0, Tokens.Counts[p], _hidden);
            layers.Linear($"output.{p}", _hidden, Tokens.Counts[p]);
        }
        for (int i = 0; i < options.Blocks; i++)
        {
            layers.LayerNorm($"block.{i}.norm", _hidden);
            layers.Stack($"block.{i}.dense", [_hidden, _hidden, _hidden]);
        }
        layers.LayerNorm("norm", _hidden);
    }

    public override void Initialize(HostWeights weights, ulong seed)
    {
        for (int p = 0; p < Positions; p++)
        {
            FillNormal(weights[$"input.{p}"], 1 / Math.Sqrt(Positions), seed++);
            FillNormal(weights[$"output.{p}.weight"], 0.02, seed++);
            InitializeTokens(weights, p, $"output.{p}.bias");
            if (IsSmooth(p))
                FillNormal(weights[$"smooth.{p}.input"], 0.3 / Math.Sqrt(Positions), seed++);
        }
    }

    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        torch.Tensor rows = batch[0];
        (TorchTensor isHidden, TorchTensor weight) = Hide(rows.shape[0], step.Random);
        torch.Tensor[] position = rows.unbind(1); // (B) each
        TorchTensor x = Hidden(
            w, p => Vectors(w, p, $"input.{p}", "input").Embed(position[p]), 1 - isHidden);
        var unlikely = new torch.Tensor[Positions];
        for (int p = 0; p < Positions; p++)
        {
            TorchTensor logits = x.Linear(Vectors(w, p, $"output.{p}.weight", "output"), w[$"output.{p}.bias"]);
            unlikely[p] = torch.nn.functional.cross_entropy(logits, position[p], reduction: torch.nn.Reduction.None);
        }
        return [new LossTerm("denoising", torch.stack(unlikely, 1).mul(weight).sum(1L).mean())];
    }

    /// <summary>One where values of rows are hidden, and what each counts there for the sum to be the bound, (B, P).</summary>
    private (TorchTensor IsHidden, TorchTensor Weight) Hide(long rows, SeededRandom random)
    {
        TorchTensor order = random.Uniform([rows, Positions], 0, 1);
        TorchTensor count = random.Uniform([rows, 1], 0, Positions).floor().Add(1); // 1 to P are hidden
        TorchTensor weight = count.Value.reciprocal().Scaled(Positions), labelWeight = weight;
        if (LabelIsLast)
        {
            // Half of the rows are of an order in which the label comes last: it is hidden whatever else is, and counts
            // where it is hidden alone.
            TorchTensor last = random.Bernoulli([rows, 1], 0.5), alone = random.Bernoulli([rows, 1], LabelAlone);
            TorchTensor others = random.Uniform([rows, 1], 0, Positions - 1).floor().Add(1); // 1 to P − 1 beside it
            order = TorchTensor.Concat(1, order.Slice(1, 0, Positions - 1), order.Slice(1, -1, 1) - last);
            count += last * ((1 - alone) * others + 1 - count);
            labelWeight += last * (alone / (float)LabelAlone - labelWeight);
            weight += last * (new TorchTensor(others.Value.reciprocal()) * (float)((Positions - 1) / (1 - LabelAlone)) - weight);
        }
        TorchTensor isHidden = order.Value.argsort(1).argsort(1).lt(count).to(torch.ScalarType.Float32);
        weight = TorchTensor.Concat(1, [.. Enumerable.Repeat(weight, Positions - 1), labelWeight]);
        return (isHidden, isHidden * weight);
    }

    // Only what draws is kept, with the smooth functions worked in.
    public override HostWeights Trained(HostWeights weights)
    {
        for (int p = 0; p < Positions; p++)
        {
            WorkInSmooth(weights, p, $"input.{p}", "input");
            WorkInSmooth(weights, p, $"output.{p}.weight", "output");
        }
        return base.Trained(weights);
    }

    public override (OnnxContent Content, IForwardPass Pass, (string Name, int Width)[] Inputs, string[] Outputs) File => (
        OnnxContent.Denoise, new DenoisePass(this), [("tokens", Positions), ("known", Positions)], ["logits"]);

    public override (float[] Tokens, float[] Offsets) Draw(
        RunPass run, IReadOnlyList<TokenColumn> columns, SplitMix64[] random)
    {
        // What conditions limit is drawn first, and of that what they leave least choice.
        int[] limited =
        [
            .. Enumerable.Range(0, Positions).Where(p => columns[p].Allowed is not null).OrderBy(p => Choices(p)),
        ];
        int rows = random.Length, tries = limited.Count(p => Choices(p) > 1) > 1 ? Candidates : 1;
        float[] drawn = new float[rows * tries * Positions], known = new float[drawn.Length];
        float[] logits = new float[rows * tries * Tokens.Starts[^1]];
        if (limited.Length > 0)
        {
            double[] logWeight = new double[rows * tries];
            foreach (int p in limited)
            {
                Run(rows * tries);
                for (int i = 0; i < logWeight.Length; i++)
                    logWeight[i] += Math.Log(DrawToken(i, p, ref random[i / tries]));
            }
            for (int row = 0; row < rows && tries > 1; row++)
            {
                double most = logWeight.AsSpan(row * tries, tries).ToArray().Max();
                double[] upTo = Cumulative.Sums(logWeight.Skip(row * tries).Take(tries).Select(log => Math.Exp(log - most)));
                int taken = row * tries + Cumulative.Draw(upTo, ref random[row]);
                drawn.AsSpan(taken * Positions, Positions).CopyTo(drawn.AsSpan(row * Positions));
            }
        }
        int[] free = [.. Enumerable.Range(0, Positions).Except(limited)];
        int[][] order = new int[rows][]; // of each row's own
        for (int row = 0; row < rows; row++)
        {
            order[row] = [.. free];
            for (int i = free.Length - (LabelIsLast && columns[^1].Allowed is null ? 2 : 1); i > 0; i--)
            {
                int j = random[row].Next(i + 1);
                (order[row][i], order[row][j]) = (order[row][j], order[row][i]);
            }
        }
        int steps = Math.Min(options.SamplingSteps, free.Length);
        for (int step = 0; step < steps; step++)
        {
            Run(rows);
            int first = (int)((long)free.Length * step / steps), end = (int)((long)free.Length * (step + 1) / steps);
            for (int row = 0; row < rows; row++)
            {
                for (int i = first; i < end; i++)
                    DrawToken(row, order[row][i], ref random[row]);
            }
        }
        return (drawn[..(rows * Positions)], []);

        int Choices(int p) => columns[p].Allowed!.Count(share => share > 0);

        void Run(int count) => run(
            "denoise", () => new DenoisePass(this), count,
            [drawn.AsMemory(0, count * Positions), known.AsMemory(0, count * Positions)],
            logits.AsMemory(0, count * Tokens.Starts[^1]));

        // Sets one more token of a row, and returns what conditions left of the shares.
        double DrawToken(int row, int p, ref SplitMix64 own)
        {
            ReadOnlySpan<float> its = logits.AsSpan(row * Tokens.Starts[^1] + Tokens.Starts[p], Tokens.Counts[p]);
            (int token, double sum) = Choose(its, columns[p].Allowed, ref own);
            (drawn[row * Positions + p], known[row * Positions + p]) = (token, 1);
            return sum;
        }
    }

    /// <summary>What is known of rows: vectors of tokens, (B, H) each, and one where they count, (B, P) → (B, H).</summary>
    private T Hidden<T>(Scope<T> w, Func<int, T> vectors, T known)
        where T : struct, ITensor<T>
    {
        T hidden = w.Linear("known", known);
        for (int p = 0; p < Positions; p++)
            hidden += vectors(p) * known.Slice(1, p, 1);
        for (int i = 0; i < options.Blocks; i++)
        {
            Scope<T> block = w.Of($"block.{i}");
            hidden += w.Dropout(block.Stack("dense", 2, block.LayerNorm("norm", hidden), Activation.Silu), options.Dropout);
        }
        return w.LayerNorm("norm", hidden);
    }

    // Tokens (B, P), one where they are known (B, P) → logits of all positions, one after the other, (B, T).
    private sealed class DenoisePass(TabularDiffusionNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            // What is no number is not known, whatever is said of it.
            T zero = w.Constant(0), least = w.Constant(-0.5f);
            T tokens = T.IfLess(least, inputs[0], inputs[0], zero), known = T.IfLess(least, inputs[0], inputs[1], zero);
            T x = network.Hidden(
                w, p => w[$"input.{p}"].Embed(tokens.Slice(1, p, 1).ToIndices().Squeeze(1)), T.IfLess(zero, known, known, zero));
            return [T.Concat(1, [.. Enumerable.Range(0, network.Positions).Select(p => w.Linear($"output.{p}", x))])];
        }
    }
}

/// <summary>Learns a table of mixed columns with a diffusion model, to generate rows like its own.</summary>
/// <remarks>
/// <para>
/// To create this trainer, use <see cref="GenerativeCatalog.TabularDiffusion(string?, int?)"/> or
/// <see cref="GenerativeCatalog.TabularDiffusion(TabularDiffusionOptions)"/>.
/// </para>
/// <para>
/// All values of a row are hidden at first, and shown one after the other in an order of its own, the label last. Each is
/// drawn given those that are there: a value that a condition gives is there from the beginning, and all others follow it.
/// Categories, frequent numbers and missing values are what they are, other numbers are intervals of which the training
/// rows say how values are spread in them.
/// </para>
/// <para>
/// TabDDPM (Kotelnikov 2023) adds normal noise to numbers on a scale of quantiles, and replaces categories by random ones.
/// With the same network and as many steps of training this was no better on UCI Adult: rows were told from real ones more
/// surely, shapes of columns and trends of pairs were less alike, it took 200 steps to make a row rather than one for each
/// column, and conditions are not exact.
/// </para>
/// <para>
/// Beside <see cref="TabularVaeTrainer"/>: diffusion gives rows of which columns, and pairs of them, are closer to the
/// data's, and follows conditions more exactly, since it conditions on what is given, where the other one takes the best of
/// several candidates. It takes three to five times as long to train, and seven times as long to generate ten columns. Use
/// the other one where that counts, as for hundreds of columns.
/// </para>
/// <inheritdoc cref="TabularEstimator" path="/remarks"/>
/// </remarks>
public sealed class TabularDiffusionTrainer : TabularEstimator
{
    internal TabularDiffusionTrainer(IHostEnvironment environment, TabularDiffusionOptions options)
        : base(environment, nameof(TabularDiffusionTrainer), options)
    {
    }
}
