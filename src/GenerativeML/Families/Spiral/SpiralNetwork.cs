using TorchSharp;

namespace GenerativeML;

/// <summary>
/// SPIRAL (Ganin 2018, https://arxiv.org/abs/1804.01118; Mellor 2019, https://arxiv.org/abs/1910.01007), without weights: an
/// agent that looks at the canvas, and at the image that it is to paint where one is given, and chooses a stroke's end, its
/// control point given the end, then pressure and width given both; a critic on the same features; and a discriminator.
/// What is left of the papers' recurrent core is the number of the stroke, beside the canvas: the two say all that is to
/// be known.
/// </summary>
internal sealed class SpiralNetwork : Network
{
    /// <summary>The number of the agent's update where there is a discriminator, whose update is the first.</summary>
    public const string Agent = "agent", Discriminator = "discriminator";

    private const int UpKernel = 4, BrushWidth = 64;
    private const float Slope = 0.2f; // of all rectifiers: few channels must not fall silent
    private const double LastEntropyShare = 0.1;

    private readonly (int Channels, int Height, int Width)[] _stages, _judged; // from the canvas inwards
    private (SpiralEpisodes Episodes, long Step)? _played; // by the discriminator's update of a step

    public SpiralNetwork(SpiralOptions options, SpiralInput input)
    {
        (Options, Input) = (options, input);
        ImageShape shape = input.Image.Shape!;
        (Height, Width, Pixels) = (shape.Height, shape.Width, input.Pixels);
        Widths = [.. options.BrushWidths!.Select(width => (float)width)];
        // The first of the agent's layers is at full size.
        _stages =
        [
            (SpiralEpisodes.SeenPlanes, Height, Width), (options.Channels, Height, Width),
            .. ImageStages.Of(shape, [2 * options.Channels, 4 * options.Channels]).Skip(1),
        ];
        _judged = ImageStages.Of(shape, [options.DiscriminatorChannels, 2 * options.DiscriminatorChannels, 4 * options.DiscriminatorChannels]);
        ResultWidths = [Pixels, options.Channels * Pixels, options.HiddenWidth, Pixels, options.PressureLevels, Widths.Length];
        Tensors = Declared().Tensors;
    }

    public SpiralOptions Options { get; }

    public SpiralInput Input { get; }

    public IReadOnlyList<TensorSpec> Tensors { get; }

    public int Height { get; }

    public int Width { get; }

    /// <summary>Pixels of the canvas, each a place for ends and control points.</summary>
    public int Pixels { get; }

    public int PressureLevels => Options.PressureLevels;

    /// <summary>The brush's widths, in pixels.</summary>
    public float[] Widths { get; }

    /// <summary>The width that a stroke is thought of with before it has one.</summary>
    public float MiddleWidth => Widths[Widths.Length / 2];

    /// <summary>Numbers of what the three passes give: end; features; dense features; control point; pressure; width.</summary>
    public int[] ResultWidths { get; }

    // Advantages are measured by those of a whole batch.
    public override bool TakesTotals => true;

    public override int PositionsPerRow => Options.Strokes * Pixels;

    // What is seen and the layers at each step, with gradients.
    public override long NumbersPerRow => (long)Options.Strokes * (Pixels * (12L * Options.Channels + 16) + 4L * Options.HiddenWidth);

    // Free paintings have no loss that says which weights are better.
    public override bool UsesValidationLoss => !Options.Generates;

    public override string AveragedPart => Agent;

    public override void Declare(Layers layers)
    {
        (int c, int hidden) = (Options.Channels, Options.HiddenWidth);
        int innermost = _stages[3].Channels * _stages[3].Height * _stages[3].Width;
        for (int i = 1; i < _stages.Length; i++)
            layers.Conv2d($"{Agent}.down.{i}", _stages[i - 1].Channels, _stages[i].Channels, 3);
        layers.Linear($"{Agent}.dense", innermost, hidden);
        layers.Linear($"{Agent}.innermost", hidden, innermost);
        for (int i = _stages.Length - 1; i > 1; i--)
            layers.ConvTranspose2d($"{Agent}.up.{i}", _stages[i].Channels, _stages[i - 1].Channels, UpKernel);
        layers.Conv2d($"{Agent}.end", c, 1, 1);
        layers.Linear($"{Agent}.bend.given", hidden + c, c);
        layers.Conv2d($"{Agent}.bend.features", c + SpiralEpisodes.BendPlanes, c, 1);
        layers.Conv2d($"{Agent}.control", c, 1, 1);
        layers.Linear($"{Agent}.press", hidden + 2 * c, BrushWidth);
        layers.Linear($"{Agent}.pressure", BrushWidth, PressureLevels);
        layers.Linear($"{Agent}.width", BrushWidth, Widths.Length);
        layers.Linear($"{Agent}.value", hidden, 1);
        if (!Options.HasDiscriminator)
            return;
        for (int i = 1; i < _judged.Length; i++)
            layers.Conv2d($"{Discriminator}.down.{i}", _judged[i - 1].Channels, _judged[i].Channels, 3);
        layers.Linear($"{Discriminator}.judgement", _judged[^1].Channels * _judged[^1].Height * _judged[^1].Width, 1);
    }

    public override IReadOnlyList<UpdateRule> Updates(TorchLayers layers)
    {
        var agent = new UpdateRule(Agent, layers.Parameters(Agent));
        return Options.HasDiscriminator
            ? [new UpdateRule(Discriminator, layers.Parameters(Discriminator), Adam: new(Beta1: 0.5, Beta2: 0.9)), agent]
            : [agent];
    }

    /// <summary>What is seen, (B, planes·H·W) → logits of the end, (B, H·W); features of pixels, (B, C·H·W); dense ones, (B, F).</summary>
    public (T End, T Features, T Dense) Look<T>(Scope<T> w, T seen)
        where T : struct, ITensor<T>
    {
        Scope<T> agent = w.Of(Agent);
        var stages = new T[_stages.Length];
        stages[0] = seen.Reshape(-1, SpiralEpisodes.SeenPlanes, Height, Width);
        for (int i = 1; i < stages.Length; i++)
            stages[i] = agent.Conv2d($"down.{i}", stages[i - 1], stride: i == 1 ? 1 : 2, padding: 1).LeakyRelu(Slope);
        (int channels, int height, int width) = _stages[^1];
        T dense = agent.Linear("dense", stages[^1].Reshape(-1, (long)channels * height * width)).LeakyRelu(Slope);
        T x = (stages[^1] + agent.Linear("innermost", dense).Reshape(-1, channels, height, width)).LeakyRelu(Slope);
        for (int i = stages.Length - 1; i > 1; i--)
        {
            // Twice as large as the stage; where the next has an odd size, there is a line too many.
            x = agent.ConvTranspose2d($"up.{i}", x, stride: 2, padding: 1)
                .Slice(2, 0, _stages[i - 1].Height).Slice(3, 0, _stages[i - 1].Width);
            x = (x + stages[i - 1]).LeakyRelu(Slope);
        }
        return (agent.Conv2d("end", x).Reshape(-1, Pixels), x.Reshape(-1, (long)Options.Channels * Pixels), dense);
    }

    /// <summary>
    /// Features of pixels, dense ones, and what is seen when a stroke is bent, (B, planes·H·W) → logits of the control point,
    /// (B, H·W).
    /// </summary>
    public T Bend<T>(Scope<T> w, T features, T dense, T seen)
        where T : struct, ITensor<T>
    {
        Scope<T> agent = w.Of(Agent);
        T given = agent.Linear("bend.given", T.Concat(1, dense, At(features, seen.Slice(1, 0, Pixels))));
        T x = T.Concat(
            1, features.Reshape(-1, Options.Channels, Height, Width), seen.Reshape(-1, SpiralEpisodes.BendPlanes, Height, Width));
        x = (agent.Conv2d("bend.features", x) + given.Reshape(-1, Options.Channels, 1, 1)).LeakyRelu(Slope);
        return agent.Conv2d("control", x).Reshape(-1, Pixels);
    }

    /// <summary>Features of pixels, dense ones, end and way, each (B, H·W) → logits of pressure and of width.</summary>
    public (T Pressure, T Width) Press<T>(Scope<T> w, T features, T dense, T end, T path)
        where T : struct, ITensor<T>
    {
        Scope<T> agent = w.Of(Agent);
        T x = agent.Linear("press", T.Concat(1, dense, At(features, end), At(features, path))).LeakyRelu(Slope);
        return (agent.Linear("pressure", x), agent.Linear("width", x));
    }

    /// <summary>Pictures as ink, (B, H·W) → what the discriminator says, (B, 1): the higher, the more real.</summary>
    public T Judge<T>(Scope<T> w, T pictures)
        where T : struct, ITensor<T>
    {
        T x = pictures.Reshape(-1, 1, Height, Width);
        for (int i = 1; i < _judged.Length; i++)
            x = w.Conv2d($"{Discriminator}.down.{i}", x, stride: 2, padding: 1).LeakyRelu(Slope);
        (int channels, int height, int width) = _judged[^1];
        return w.Linear($"{Discriminator}.judgement", x.Reshape(-1, (long)channels * height * width));
    }

    /// <summary>A pass for the engine of a trained model.</summary>
    public IForwardPass PassOf(SpiralPass pass) => new Pass(this, pass);

    /// <summary>
    /// Of the discriminator its objective and the penalty; of the agent the policy's gradient, minus the advantage times
    /// log p of strokes, the critic's half squared error, and minus the entropy; each the mean over strokes.
    /// </summary>
    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        bool judges = Options.HasDiscriminator && update == 0;
        if (_played is not { } played || played.Step != step.Step || judges)
        {
            played = (Play(w, batch, step), step.Step);
            _played = judges ? played : null;
        }
        else
        {
            _played = null;
        }
        return judges ? Judgement(w, batch, played.Episodes, step) : Strokes(w, batch, played.Episodes, step);
    }

    /// <summary>The mean squared error of images that the likeliest strokes paint.</summary>
    public override IReadOnlyList<LossTerm> ValidationLoss(Scope<TorchTensor> w, Batch batch, StepContext step)
    {
        float[] images = Host(batch[0]);
        SpiralEpisodes episodes = SpiralEpisodes.Play(
            this, ComputeBy(w, batch[0].device), images, [.. Enumerable.Repeat(true, batch.Rows)], new SplitMix64[batch.Rows], temperature: null);
        torch.Tensor painted = HostTensors.FromRows(episodes.Finished, batch.Rows, Pixels, batch[0].device);
        return [new("squared error", painted.Minus(batch[0]).Squared().mean())];
    }

    // How many of these paintings are free, and of all of the step: the first ones.
    private (int Here, int All) Free(RowRange rows)
    {
        int all = Free(rows.Of);
        return (Math.Clamp(all - rows.First, 0, rows.Count), all);
    }

    private int Free(int rows)
    {
        int free = (int)Math.Round((1 - Options.ReconstructionShare) * rows);
        // Where both are wanted, there is one of each.
        return Options.Reconstructs && Options.Generates && rows > 1 ? Math.Clamp(free, 1, rows - 1) : free;
    }

    private SpiralEpisodes Play(Scope<TorchTensor> w, Batch batch, StepContext step)
    {
        RowRange rows = step.RowsOf(batch.Rows);
        int free = Free(rows).Here;
        var seeds = new SplitMix64(step.Seed);
        SplitMix64[] all = [.. Enumerable.Range(0, rows.Of).Select(_ => new SplitMix64(seeds.Next()))];
        SplitMix64[] random = all[rows.First..(rows.First + rows.Count)];
        return SpiralEpisodes.Play(
            this, ComputeBy(w, batch[0].device), Host(batch[0]), [.. Enumerable.Range(0, batch.Rows).Select(row => row >= free)], random, 1);
    }

    /// <summary>Passes by weights that torch has.</summary>
    public SpiralCompute ComputeBy(Scope<TorchTensor> w, torch.Device device) => (pass, rows, inputs, outputs) =>
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        TorchTensor[] given = [.. inputs.Select(input => (TorchTensor)HostTensors.FromRows(input.Span, rows, input.Length / rows, device))];
        TorchTensor[] results = PassOf(pass).Run(w, given);
        for (int i = 0; i < outputs.Length; i++)
            HostTensors.CopyTo(results[i], outputs[i].Span);
    };

    private LossTerm[] Judgement(Scope<TorchTensor> w, Batch batch, SpiralEpisodes episodes, StepContext step)
    {
        torch.Tensor real = batch[0], made = HostTensors.FromRows(episodes.Finished, batch.Rows, Pixels, real.device);
        made = Composed(made, real, step);
        RowRange rows = step.RowsOf(batch.Rows);
        double share = 1;
        if (Options.RewardBlend == 0 && Free(rows) is (int free, > 0 and int all)) // what nobody is rewarded for it need not know
        {
            share = free * (double)rows.Of / (all * (double)rows.Count); // as a mean over the free ones of all processes
            free = Math.Max(1, free);
            (real, made) = (real.narrow(0, 0, free), made.narrow(0, 0, free));
        }
        torch.Tensor loss = GanLoss.Discriminator(Options.DiscriminatorObjective, Judged(real), Judged(made), smoothing: 0).Scaled(share);
        if (Options.GradientPenaltyWeight == 0)
            return [new(Discriminator, loss)];
        torch.Tensor penalty = Options.DiscriminatorObjective == GanObjective.WassersteinGradientPenalty
            ? GanLoss.GradientPenalty(Judged, real, made, 1, step.Random, batch.Rows).Scaled(share * Options.GradientPenaltyWeight)
            : GanLoss.R1(Judged, real, 1).Scaled(share * Options.GradientPenaltyWeight / 2);
        return [new(Discriminator, loss), new("gradient penalty", penalty)];

        torch.Tensor Judged(torch.Tensor rows) => Judge<TorchTensor>(w, rows);
    }

    /// <summary>Canvases of a step, (B, H·W), as the discriminator sees them: of given images one half, beside the other of the image.</summary>
    internal torch.Tensor Composed(torch.Tensor canvases, torch.Tensor images, StepContext step)
    {
        if (!Options.ComplementDiscriminator || !Options.Reconstructs)
            return canvases;
        RowRange rows = step.RowsOf((int)canvases.size(0));
        int free = Free(rows.Of);
        var random = new SplitMix64(step.Seed + 1);
        float[] shown = new float[rows.Count * Pixels];
        for (int row = 0; row < rows.First + rows.Count; row++)
        {
            int half = random.Next(4);
            for (int i = 0; row >= rows.First && i < Pixels; i++)
            {
                bool first = half < 2 ? i / Width * 2 < Height : i % Width * 2 < Width;
                shown[(row - rows.First) * Pixels + i] = row < free || first == (half % 2 == 0) ? 1 : 0;
            }
        }
        torch.Tensor mask = HostTensors.FromRows(shown, rows.Count, Pixels, canvases.device);
        return images.Plus(canvases.Minus(images).mul(mask));
    }

    private LossTerm[] Strokes(Scope<TorchTensor> w, Batch batch, SpiralEpisodes episodes, StepContext step)
    {
        float[] rewards = Rewards(w, batch, episodes, step);
        SpiralStrokes strokes = Evaluate(w, episodes, batch[0].device);
        float[] expected = Host(strokes.Value);
        float[] advantages = SpiralRewards.Advantages(rewards, expected, batch.Rows, Options.Discount, Options.TraceDecay);
        float[] returns = [.. advantages.Zip(expected, (advantage, value) => advantage + value)];
        // Of either kind by itself: errors and judgements differ in size.
        int free = Free(step.RowsOf(batch.Rows)).Here;
        SpiralRewards.Normalize(advantages, batch.Rows, row => row < free, step.Total);
        SpiralRewards.Normalize(advantages, batch.Rows, row => row >= free, step.Total);
        double entropy = Options.EntropyWeight * (1 - (1 - LastEntropyShare) * step.Step / Math.Max(1, step.Steps));
        return
        [
            new("policy", PolicyLoss(strokes.LogProbability, advantages)),
            new("value", strokes.Value.Minus(Column(returns, batch[0].device)).Squared().mean().Scaled(Options.ValueWeight / 2)),
            new("entropy", strokes.Entropy.mean().Scaled(-entropy)),
        ];
    }

    /// <summary>The mean of −A·log p over strokes, whose gradient lowers what is expected to be lost.</summary>
    internal static torch.Tensor PolicyLoss(torch.Tensor logProbability, float[] advantages) =>
        logProbability.mul(Column(advantages, logProbability.device)).mean().neg();

    private static torch.Tensor Column(float[] values, torch.Device device) => HostTensors.FromRows(values, values.Length, 1, device);

    /// <summary>What strokes earn, (T × B).</summary>
    internal float[] Rewards(Scope<TorchTensor> w, Batch batch, SpiralEpisodes episodes, StepContext step)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        int steps = episodes.Steps + 1, rows = batch.Rows, free = Free(step.RowsOf(rows)).Here;
        torch.Tensor canvases = HostTensors.FromRows(episodes.Canvases, (long)steps * rows, Pixels, batch[0].device);
        torch.Tensor images = batch[0].repeat(steps, 1);
        float[] errors = Host(canvases.Minus(images).Squared().sum(1L)), worth = new float[steps * rows];
        float[] judged = new float[steps * rows];
        if (Options.HasDiscriminator)
        {
            torch.Tensor seen = torch.cat(
                [.. Enumerable.Range(0, steps).Select(t => Composed(canvases.narrow(0, (long)t * rows, rows), batch[0], step))], 0);
            judged = Host(Judge<TorchTensor>(w, seen));
        }
        // A judgement changes by at most the distance where its gradient is at most one: in shares of an empty canvas's.
        double error = 1 / Math.Max(Input.Energy, 1e-6), judgement = Math.Sqrt(error);
        for (int i = 0; i < worth.Length; i++)
        {
            double share = i % rows < free ? 1 : Options.RewardBlend;
            worth[i] = (float)(share * judgement * judged[i] - (1 - share) * error * errors[i]);
        }
        return SpiralRewards.Of(worth, episodes.Steps, rows, Options.TemporalCreditAssignment);
    }

    /// <summary>Strokes that were made, as the agent would make them now.</summary>
    internal SpiralStrokes Evaluate(Scope<TorchTensor> w, SpiralEpisodes episodes, torch.Device device)
    {
        long all = (long)episodes.Steps * episodes.Rows;
        (TorchTensor ends, TorchTensor features, TorchTensor dense) = Look<TorchTensor>(w, Rows(episodes.Seen));
        TorchTensor controls = Bend(w, features, dense, Rows(episodes.Bends));
        (TorchTensor pressures, TorchTensor widths) = Press(w, features, dense, Rows(episodes.Ends), Rows(episodes.Paths));
        TorchTensor[] logits = [ends, controls, pressures, widths];
        torch.Tensor? logProbability = null, entropy = null;
        for (int part = 0; part < logits.Length; part++)
        {
            torch.Tensor logs = logits[part].Value.log_softmax(-1);
            torch.Tensor chosen = logs.gather(1, HostTensors.Index(episodes.Actions[part], device).view(all, 1));
            torch.Tensor spread = logs.exp().mul(logs).sum(1, keepdim: true).neg();
            logProbability = logProbability is null ? chosen : logProbability.Plus(chosen);
            entropy = entropy is null ? spread : entropy.Plus(spread);
        }
        return new(logProbability!, entropy!, w.Of(Agent).Linear("value", dense));

        TorchTensor Rows(float[] values) => HostTensors.FromRows(values, all, values.Length / all, device);
    }

    // The sum of pixels' features, (B, C·H·W), by weights, (B, H·W) → (B, C).
    private T At<T>(T features, T weights)
        where T : struct, ITensor<T> =>
        (features.Reshape(-1, Options.Channels, Pixels) * weights.Reshape(-1, 1, Pixels)).Reduce(Reduction.Sum, 2).Squeeze(2);

    private static float[] Host(torch.Tensor values)
    {
        float[] host = new float[values.numel()];
        HostTensors.CopyTo(values, host);
        return host;
    }

    /// <summary>
    /// All of a stroke at once, given what is seen of its parts: (B, planes·H·W) twice, end and way, (B, H·W) each → logits of end,
    /// control point, pressure and width.
    /// </summary>
    internal sealed class StepPass(SpiralNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            (T end, T features, T dense) = network.Look(w, inputs[0]);
            (T pressure, T width) = network.Press(w, features, dense, inputs[2], inputs[3]);
            return [end, network.Bend(w, features, dense, inputs[1]), pressure, width];
        }
    }

    private sealed class Pass(SpiralNetwork network, SpiralPass pass) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            switch (pass)
            {
                case SpiralPass.Look:
                    (T end, T features, T dense) = network.Look(w, inputs[0]);
                    return [end, features, dense];
                case SpiralPass.Bend:
                    return [network.Bend(w, inputs[0], inputs[1], inputs[2])];
                default:
                    (T pressure, T width) = network.Press(w, inputs[0], inputs[1], inputs[2], inputs[3]);
                    return [pressure, width];
            }
        }
    }
}

/// <summary>Of strokes that were made, each (T·B, 1): log p, the entropy of what they were drawn from, and the critic's value.</summary>
internal sealed record SpiralStrokes(torch.Tensor LogProbability, torch.Tensor Entropy, torch.Tensor Value);
