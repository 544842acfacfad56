using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Sketch-RNN (Ha and Eck 2017, https://arxiv.org/abs/1704.03477), without weights: an LSTM reads a drawing forwards and
/// another backwards, their last states give a latent distribution, and a third draws: from a state that the latent vector
/// sets, with that vector beside each point, it gives the distribution of the next.
/// </summary>
internal sealed class SketchRnnNetwork : Network
{
    private const int Point = StrokeDrawing.Stroke5;
    private const double FirstKlShare = 0.01;

    /// <param name="options">Options whose sizes are known.</param>
    public SketchRnnNetwork(SketchRnnOptions options)
    {
        (Options, Density) = (options, new(options.Mixtures));
        Tensors = Declared().Tensors;
    }

    public SketchRnnOptions Options { get; }

    /// <summary>What the decoder's outputs say.</summary>
    public StrokeDensity Density { get; }

    public IReadOnlyList<TensorSpec> Tensors { get; }

    public override bool TakesTotals => true;

    public override int PositionsPerRow => Options.MaxPoints ?? 1;

    // States, gates and their gradients at each point.
    public override long NumbersPerRow => PositionsPerRow * (16L * Options.EncoderWidth + 8L * Options.DecoderWidth
        + Options.LatentDimension + 4L * Density.Width);

    public override void Declare(Layers layers)
    {
        int latent = Options.LatentDimension;
        foreach (string direction in (string[])["forward", "backward"])
            layers.Recurrent($"encoder.{direction}", RecurrentCell.Lstm, Point, Options.EncoderWidth, 1);
        layers.Linear("mu", 2 * Options.EncoderWidth, latent);
        layers.Linear("log_var", 2 * Options.EncoderWidth, latent);
        layers.Linear("initial", latent, 2 * Options.DecoderWidth);
        layers.Recurrent("decoder", RecurrentCell.Lstm, Point + latent, Options.DecoderWidth, 1);
        layers.Linear("output", Options.DecoderWidth, Density.Width);
    }

    /// <summary>One step of an encoder: a point (B, 5) and a state, twice (B, E) → the state behind it.</summary>
    public (T Hidden, T Memory) Read<T>(Scope<T> w, string direction, T point, T hidden, T memory)
        where T : struct, ITensor<T> => w.Of($"encoder.{direction}").LstmStep(0, Options.EncoderWidth, point, hidden, memory);

    /// <summary>What both encoders end with, twice (B, E) → means and log-variances, (B, L).</summary>
    public static (T Mu, T LogVar) Latent<T>(Scope<T> w, T forward, T backward)
        where T : struct, ITensor<T>
    {
        T both = T.Concat(1, forward, backward);
        return (w.Linear("mu", both), w.Linear("log_var", both));
    }

    /// <summary>Latent vectors (B, L) → the states that drawing begins with, (B, 2·D): hidden, memory.</summary>
    public static T Initial<T>(Scope<T> w, T z)
        where T : struct, ITensor<T> => w.Linear("initial", z).Apply(Function.Tanh);

    /// <summary>
    /// One step of the decoder: a point (B, 5), latent vectors (B, L) and a state, twice (B, D) → the distribution of the
    /// next point, (B, P), and the state.
    /// </summary>
    public (T Next, T Hidden, T Memory) Draw<T>(Scope<T> w, T point, T z, T hidden, T memory)
        where T : struct, ITensor<T>
    {
        (T h, T c) = w.Of("decoder").LstmStep(0, Options.DecoderWidth, T.Concat(1, point, z), hidden, memory);
        return (w.Linear("output", h), h, c);
    }

    /// <summary>
    /// The paper's three terms: −log p of offsets and of the pen's states, each a sum over points divided by the most points
    /// that a drawing may have, and the KL term of a latent feature. Behind the point that ends a drawing nothing counts:
    /// nothing is drawn there.
    /// </summary>
    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        (torch.Tensor mu, torch.Tensor logVar) = Encode(w, batch);
        double warmup = Options.KlWarmupFraction * step.Steps;
        double share = warmup > 0 ? Math.Min(1, FirstKlShare + (1 - FirstKlShare) * step.Step / warmup) : 1;
        torch.Tensor kl = Kl(mu, logVar).mean();
        return
        [
            .. Reconstruction(w, batch, Drawn(mu, logVar, step.Random)),
            new("kl", step.AtLeast(kl, Options.KlTolerance).Scaled(Options.KlWeight * share)),
        ];
    }

    /// <summary>The same at the means of the latent distributions, with the KL term's whole weight.</summary>
    public override IReadOnlyList<LossTerm> ValidationLoss(Scope<TorchTensor> w, Batch batch, StepContext step)
    {
        (torch.Tensor mu, torch.Tensor logVar) = Encode(w, batch);
        return [.. Reconstruction(w, batch, mu), new("kl", Kl(mu, logVar).mean().Scaled(Options.KlWeight))];
    }

    /// <summary>The same at draws of the latent distributions, with the KL term as it is.</summary>
    public IReadOnlyList<LossTerm> Terms(Scope<TorchTensor> w, Batch batch, SeededRandom random)
    {
        (torch.Tensor mu, torch.Tensor logVar) = Encode(w, batch);
        return [.. Reconstruction(w, batch, Drawn(mu, logVar, random)), new("kl", Kl(mu, logVar).mean())];
    }

    /// <summary>Drawings → means and log-variances of their latent distributions, (B, L).</summary>
    public (torch.Tensor Mu, torch.Tensor LogVar) Encode(Scope<TorchTensor> w, Batch batch)
    {
        torch.Tensor last = batch[2].view(batch.Rows, 1, 1).expand(-1, 1, Options.EncoderWidth);
        torch.Tensor points = batch[0].narrow(1, 1, batch[1].size(1));
        (TorchTensor mu, TorchTensor logVar) = Latent<TorchTensor>(w, End("forward", points), End("backward", batch[1]));
        return (mu, logVar);

        // The state behind each row's last point; what comes after does not reach it.
        torch.Tensor End(string direction, TorchTensor x)
        {
            torch.Tensor hidden = w.Of($"encoder.{direction}").Recurrent(RecurrentCell.Lstm, 0, x);
            return hidden.gather(1, last).squeeze(1);
        }
    }

    /// <summary>Drawings and latent vectors → the distribution of each next point, (B, N + 1, P).</summary>
    public torch.Tensor Decode(Scope<TorchTensor> w, Batch batch, torch.Tensor z)
    {
        int width = Options.DecoderWidth;
        long steps = batch[0].size(1) - 1;
        torch.Tensor seen = w.Dropout(z, Options.Dropout);
        torch.Tensor state = Initial<TorchTensor>(w, z);
        var states = new RecurrentStates(parts: 2);
        states.Begin(torch.stack([state.narrow(1, 0, width), state.narrow(1, width, width)], 0));
        TorchTensor beside = seen.unsqueeze(1).expand(-1, steps, -1), points = batch[0].narrow(1, 0, steps);
        TorchTensor hidden = ((TorchOps)w.Ops).With(states).Root.Of("decoder").Recurrent(
            RecurrentCell.Lstm, 0, TorchTensor.Concat(2, points, beside));
        return w.Linear("output", w.Dropout(hidden, Options.Dropout));
    }

    private LossTerm[] Reconstruction(Scope<TorchTensor> w, Batch batch, torch.Tensor z)
    {
        long steps = batch[0].size(1) - 1;
        TorchTensor next = batch[0].narrow(1, 1, steps).reshape(-1, Point), said = Decode(w, batch, z).reshape(-1, Density.Width);
        (torch.Tensor offset, torch.Tensor pen) = Density.LogDensities(said, next);
        double all = batch.Rows * (double)Options.MaxPoints!.Value;
        return
        [
            new("offset", offset.mul(batch[3].reshape(-1, 1)).sum().Scaled(-1 / all)), new("pen", pen.mul(batch[4].reshape(-1, 1)).sum().Scaled(-1 / all)),
        ];
    }

    private static torch.Tensor Drawn(torch.Tensor mu, torch.Tensor logVar, SeededRandom random) =>
        mu.Plus(logVar.Scaled(0.5).exp().mul(random.Normal(mu.shape)));

    // Of each latent feature from the standard normal distribution, (B, L).
    private static torch.Tensor Kl(torch.Tensor mu, torch.Tensor logVar) =>
        logVar.exp().Plus(mu.Squared()).Minus(logVar).Plus(-1).Scaled(0.5);

    /// <summary>A point and a state → the state.</summary>
    internal sealed class ReadPass(SketchRnnNetwork network, string direction) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            (T hidden, T memory) = network.Read(w, direction, inputs[0], inputs[1], inputs[2]);
            return [hidden, memory];
        }
    }

    /// <summary>Both encoders' last states → means and log-variances.</summary>
    internal sealed class LatentPass : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            (T mu, T logVar) = Latent(w, inputs[0], inputs[1]);
            return [mu, logVar];
        }
    }

    /// <summary>
    /// Drawings as points, (B, N·5), behind whose ends there may be anything finite, and how many points each has, (B, 1), brought
    /// between one and N → means and log-variances.
    /// </summary>
    internal sealed class EncodePass(SketchRnnNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            int count = network.Options.MaxPoints!.Value;
            T points = inputs[0].Reshape(-1, count, Point), length = inputs[1].Clamp(1, count).Reshape(-1, 1, 1);
            T number = (points.Slice(2, 0, 1) * 0f + 1).CumulativeSum(1), last = Equal(number, length).Transpose(0, 2, 1); // (B, N, 1), (B, 1, N)
            T reversed = Equal(number + number.Transpose(0, 2, 1), length + 1).MatMul(points);
            (T mu, T logVar) = Latent(w, End("forward", points), End("backward", reversed));
            return [mu, logVar];

            T End(string direction, T x) => last
                .MatMul(w.Of($"encoder.{direction}").Recurrent(RecurrentCell.Lstm, 0, x)).Reshape(-1, network.Options.EncoderWidth);

            // One where whole numbers are the same.
            T Equal(T a, T b) => T.OneIfLess((a - b).Apply(Function.Abs), w.Constant(0.5f));
        }
    }

    /// <summary>Latent vectors → first states.</summary>
    internal sealed class InitialPass(int width) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            T state = Initial(w, inputs[0]);
            return [state.Slice(1, 0, width), state.Slice(1, width, width)];
        }
    }

    /// <summary>A point, latent vectors and a state → the next point's distribution and the state.</summary>
    internal sealed class DrawPass(SketchRnnNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            (T next, T hidden, T memory) = network.Draw(w, inputs[0], inputs[1], inputs[2], inputs[3]);
            return [next, hidden, memory];
        }
    }

    /// <summary>The same, and the next point → how likely its offset and its pen's state are, and the state.</summary>
    internal sealed class ScorePass(SketchRnnNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            (T said, T hidden, T memory) = network.Draw(w, inputs[0], inputs[1], inputs[3], inputs[4]);
            (T offset, T pen) = network.Density.LogDensities(said, inputs[2]);
            return [offset, pen, hidden, memory];
        }
    }
}

/// <summary>
/// The distribution of a next point: a mixture of normal distributions of two correlated offsets, and the probabilities of
/// the pen's three states. It is told by numbers of a row: the mixture's, and three logits behind them.
/// </summary>
internal sealed class StrokeDensity(int mixtures)
{
    private const int Pens = 3;

    private readonly MixtureDensity _offsets = new(2, mixtures, correlated: true);

    /// <summary>Numbers of a row, P.</summary>
    public int Width => _offsets.Width + Pens;

    /// <summary>log p of points' offsets and of their pens' states: (N, P) and (N, 5) → (N, 1) and (N, 1).</summary>
    public (T Offset, T Pen) LogDensities<T>(T parameters, T points)
        where T : struct, ITensor<T>
    {
        T logits = parameters.Slice(1, _offsets.Width, Pens);
        return (
            _offsets.LogDensity(parameters, points.Slice(1, 0, 2)),
            (points.Slice(1, 2, Pens) * logits).Reduce(Reduction.Sum, 1) - logits.LogSumExp(1));
    }

    /// <summary>Draws an offset, and the pen's state: 0 down, 1 lifted, 2 ended.</summary>
    public int Sample(ReadOnlySpan<float> parameters, ref SplitMix64 random, Span<float> offset, double temperature)
    {
        _offsets.Sample(parameters, ref random, offset, temperature);
        return MixtureDensity.Choose(parameters.Slice(_offsets.Width, Pens), random.NextDouble(), temperature);
    }
}
