using TorchSharp;

namespace GenerativeML;

/// <summary>
/// A recurrent network of tokens, without weights: embeddings, layers of recurrent cells, and the logits' weights. Names
/// and shapes are those of a torch module of <c>encoder</c> (Embedding), <c>rnn</c> (LSTM or GRU) and <c>decoder</c>
/// (Linear).
/// </summary>
internal sealed class RecurrentNetwork : LanguageNetwork
{
    public const string Embeddings = "encoder.weight";

    private const string Head = "decoder.weight", Bias = "decoder.bias";

    // What readers of the text remember between steps: (layers·parts, B, W). It is of training alone.
    private const string State = "state";

    // Of embeddings at first: less than torch's 1, so that the first layer's gates begin within their steep part.
    private const double Deviation = 0.3;

    // Tokens of a validation text that are computed together.
    private const int ValidationTokens = 256;

    /// <param name="options">Options of which the vocabulary's size is known.</param>
    /// <exception cref="FormatException">The sizes are out of every sensible range.</exception>
    public RecurrentNetwork(RecurrentLanguageModelOptions options)
        : base(options)
    {
        Options = options;
        if ((long)Math.Max(VocabularySize, options.Cell.Gates() * (long)options.Width) * options.Width > MaxElements)
        {
            throw new FormatException(
                $"A recurrent network of {VocabularySize} tokens and width {options.Width} has tensors of more than "
                + $"{MaxElements} elements.");
        }
        Tensors = [.. Declared().Tensors.Where(tensor => tensor.Name != State)];
    }

    public override RecurrentLanguageModelOptions Options { get; }

    public override string Family => RecurrentLanguageModelTransformer.SavedFamily.Name;

    public override IReadOnlyList<TensorSpec> Tensors { get; }

    public override int Width => Options.Width;

    public override string OutputWeights => Options.TieEmbeddings ? Embeddings : Head;

    public override string OutputBias => Bias;

    public override int PositionsPerRow => Options.WindowLength;

    // States, gates and what dropout kept, of each layer.
    public override long NumbersPerRow => (long)Options.WindowLength * Options.Layers * Width * 8;

    private int Parts => Options.Cell.Parts().Count;

    public override long CacheNumbers(int tokens) => (long)Options.Layers * Parts * Width;

    public override void Declare(Layers layers)
    {
        int width = Width, gates = Options.Cell.Gates() * width;
        layers.Parameter(Embeddings, 0, VocabularySize, width);
        for (int i = 0; i < Options.Layers; i++)
        {
            layers.Parameter($"rnn.weight_ih_l{i}", 0, gates, width);
            layers.Parameter($"rnn.weight_hh_l{i}", 0, gates, width);
            layers.Parameter($"rnn.bias_ih_l{i}", 0, gates);
            layers.Parameter($"rnn.bias_hh_l{i}", 0, gates);
        }
        if (!Options.TieEmbeddings)
            layers.Parameter(Head, 0, VocabularySize, width);
        layers.Parameter(Bias, 0, VocabularySize);
        layers.Buffer(State, Options.Layers * Parts, Options.BatchSize ?? 1, width);
    }

    /// <summary>
    /// Draws matrices as torch does for recurrent layers, uniform up to 1/√width, embeddings normal. An LSTM's forget
    /// gates begin open (Jozefowicz 2015), so that gradients reach far at first.
    /// </summary>
    public override void Initialize(HostWeights weights, ulong seed)
    {
        var random = new SeededRandom(torch.CPU, seed);
        double bound = 1 / Math.Sqrt(Width);
        foreach (TensorSpec spec in weights.Specs)
        {
            if (spec.Shape.Length == 2)
            {
                using DisposeScope scope = torch.NewDisposeScope();
                torch.Tensor drawn = spec.Name == Embeddings
                    ? random.Normal(spec.Shape.ToArray(), Options.TieEmbeddings ? bound : Deviation)
                    : random.Uniform(spec.Shape.ToArray(), -bound, bound);
                HostTensors.CopyTo(drawn, weights[spec.Name]);
            }
            else if (Options.Cell == RecurrentCell.Lstm && spec.Name.Contains("bias_ih", StringComparison.Ordinal))
            {
                weights[spec.Name].AsSpan(Width, Width).Fill(1);
            }
        }
    }

    public override IReadOnlyList<string> RowStates => [State];

    // All gates of a layer are one matrix: its shorter side is the width, and to make singular values of so tall a matrix
    // about one takes a third of what it takes for each gate's.
    protected override IEnumerable<MuonMatrix> MuonMatrices(TorchLayers layers) =>
        from layer in Enumerable.Range(0, Options.Layers)
        from matrix in (string[])["ih", "hh"]
        select new MuonMatrix(layers.Tensors[$"rnn.weight_{matrix}_l{layer}"]);

    public override T Hidden<T>(Scope<T> w, T tokens, T positions)
    {
        T x = w.Dropout(w[Embeddings].Embed(tokens), Options.Dropout);
        Scope<T> recurrent = w.Of("rnn");
        for (int layer = 0; layer < Options.Layers; layer++)
            x = w.Dropout(recurrent.Recurrent(Options.Cell, layer, x), Options.Dropout);
        return x;
    }

    public override OnnxTensor AddPast(OnnxExport graph, OnnxTensor tokens, bool cached)
    {
        graph.CarriesStates = cached;
        return tokens; // where they stand makes no difference
    }

    /// <summary>
    /// The mean cross-entropy of each token's successor over a window, from the states in which the readers' last windows
    /// ended; gradients end at the window's beginning (Williams and Peng 1990).
    /// </summary>
    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        torch.Tensor kept = w[State];
        if (step.Random.Rows is { } rows)
            kept = kept.narrow(1, rows.First, rows.Count);
        var states = new RecurrentStates(Parts);
        states.Begin(kept.mul(batch[1]));
        torch.Tensor hidden = Hidden(w, batch[0], states);
        torch.Tensor gradient = torch.empty_like(hidden, requires_grad: false);
        LossTerm loss = CrossEntropy(w, hidden.detach(), Following(batch[0]), step.Share, gradient);
        using var held = new HeldSignals();
        torch.autograd.backward([hidden], [gradient]);
        using IDisposable noGradient = torch.no_grad();
        kept.copy_(states.Last());
        return [loss];
    }

    /// <summary>The same over long parts of a text, from states of zeros.</summary>
    public override IReadOnlyList<LossTerm> ValidationLoss(Scope<TorchTensor> w, Batch batch, StepContext step)
    {
        torch.Tensor tokens = batch[0];
        long length = tokens.size(1) - 1;
        torch.Tensor loss = torch.zeros([], torch.ScalarType.Float32, tokens.device), last = loss;
        for (long start = 0; start < length; start += ValidationTokens)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            long count = Math.Min(ValidationTokens, length - start);
            torch.Tensor window = tokens.narrow(1, start, count + 1);
            var states = new RecurrentStates(Parts);
            if (start > 0)
                states.Begin(last);
            LossTerm term = CrossEntropy(w, Hidden(w, window, states), Following(window));
            loss.Add(term.Value, (double)count / length);
            last = states.Last().MoveToOuterDisposeScope();
        }
        return [new LossTerm("loss", loss)];
    }

    private torch.Tensor Hidden(Scope<TorchTensor> w, torch.Tensor window, RecurrentStates states)
    {
        TorchTensor tokens = window.narrow(1, 0, window.size(1) - 1);
        return Hidden(((TorchOps)w.Ops).With(states).Root, tokens, tokens).Value.contiguous();
    }

    private static torch.Tensor Following(torch.Tensor window) => window.narrow(1, 1, window.size(1) - 1);
}
