using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace GenerativeML.Tests.Recurrent;

[TestClass]
public sealed class RecurrentNetworkTests
{
    private const int Vocabulary = 11, Width = 6;

    private static readonly int[] Text = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9];

    public static IEnumerable<object[]> CellsAndEngines =>
        from cell in Enum.GetValues<RecurrentCell>()
        from onTorch in new[] { false, true }
        select new object[] { cell, onTorch };

    [TestMethod]
    [DynamicData(nameof(CellsAndEngines))]
    public void Two_steps_by_hand(RecurrentCell cell, bool onTorch)
    {
        // One cell whose gates are open to known shares, whatever comes in.
        const float threeQuarters = 1.0986123f, quarter = -1.0986123f, half = 0.54930614f; // σ⁻¹ of ¾ and ¼, tanh⁻¹ of ½
        RecurrentNetwork network = Network(cell, layers: 1, width: 1);
        var weights = new HostWeights(network.Tensors);
        double[] expected;
        if (cell == RecurrentCell.Lstm)
        {
            new[] { threeQuarters, quarter, half, 0 }.CopyTo(weights["rnn.bias_ih_l0"], 0);
            // c = ¾·½, h = ½·tanh c; then c = ¼·c + ¾·½.
            expected = [0.5 * Math.Tanh(0.375), 0.5 * Math.Tanh(0.46875)];
        }
        else
        {
            // Reset ¼, of a new value tanh(0 + ¼·4·tanh⁻¹ ½); update ¾.
            new[] { quarter, threeQuarters, 0 }.CopyTo(weights["rnn.bias_ih_l0"], 0);
            weights["rnn.bias_hh_l0"][2] = 4 * half;
            expected = [0.25 * 0.5, 0.25 * 0.5 + 0.75 * 0.125];
        }
        using IDisposable? engine = Engine(onTorch);
        using var model = new TrainedLanguageModel(network, weights);
        using SequenceState state = model.NewDecoder(1, 2);
        state.Read(0, 0, [0, 1], all: true);
        for (int i = 0; i < 2; i++)
            Assert.AreEqual(expected[i], state.Hidden(i)[0], 1e-6);
    }

    [TestMethod]
    [DynamicData(nameof(CellsAndEngines))]
    public void Hidden_states_and_logits_are_those_of_stock_modules(RecurrentCell cell, bool onTorch)
    {
        using DisposeScope scope = NewDisposeScope();
        RecurrentNetwork network = Network(cell);
        HostWeights weights = Weights(network);
        (Tensor hidden, Tensor logits) = Stock(network, weights, [Text], out Stocks stock);
        using (stock)
        using (Engine(onTorch))
        using (var model = new TrainedLanguageModel(network, weights))
        using (SequenceState state = model.NewDecoder(1, Text.Length))
        {
            state.Read(0, 0, Text, all: true);
            for (int i = 0; i < Text.Length; i++)
            {
                AssertClose(TinyGpt.Values(hidden[0, i]), state.Hidden(i));
                AssertClose(TinyGpt.Values(logits[0, i]), state.Logits(i));
            }
        }
    }

    [TestMethod]
    [DynamicData(nameof(CellsAndEngines))]
    public void Token_by_token_in_parts_and_at_once_are_the_same(RecurrentCell cell, bool onTorch)
    {
        using IDisposable? engine = Engine(onTorch);
        RecurrentNetwork network = Network(cell);
        using var model = new TrainedLanguageModel(network, Weights(network));
        using SequenceState whole = model.NewDecoder(1, 99), parts = model.NewDecoder(3, 99);
        whole.Read(0, 0, Text, all: true);
        parts.Read(1, 0, [7, 7, 7], all: false); // another text before it in the same slot is forgotten
        parts.Read(1, 0, Text.AsSpan(0, 4), all: false);
        AssertClose(whole.Logits(3).ToArray(), parts.Logits(0));
        parts.Read(2, 0, [2, 2], all: false);
        parts.Read(1, 4, Text.AsSpan(4, 3), all: false);
        AssertClose(whole.Logits(6).ToArray(), parts.Logits(0));
        parts.Copy(from: 1, to: 0, 7);
        for (int i = 7; i < Text.Length; i++)
        {
            parts.Read([Text[i], Text[i] % 3, 1], [i, i, i - 5]);
            AssertClose(whole.Logits(i).ToArray(), parts.Logits(0));
        }
    }

    [TestMethod]
    [DataRow(RecurrentCell.Lstm)]
    [DataRow(RecurrentCell.Gru)]
    public void A_step_gets_the_same_bits_alone_and_among_others(RecurrentCell cell)
    {
        RecurrentNetwork network = Network(cell, width: 24);
        using var model = new TrainedLanguageModel(network, Weights(network));
        using SequenceState one = model.NewDecoder(1, 99), many = model.NewDecoder(16, 99);
        for (int i = 0; i < Text.Length; i++)
        {
            one.Read([Text[i]], [i]);
            many.Read(
                [.. Enumerable.Range(0, 16).Select(s => s == 5 ? Text[i] : s % Vocabulary)], [.. Enumerable.Repeat(i, 16)]);
            Assert.IsTrue(many.Logits(5).SequenceEqual(one.Logits(0)), $"token {i}");
        }
    }

    [TestMethod]
    [DataRow(RecurrentCell.Lstm)]
    [DataRow(RecurrentCell.Gru)]
    public void No_token_sees_a_later_one_and_each_sees_all_before(RecurrentCell cell)
    {
        using DisposeScope scope = NewDisposeScope();
        RecurrentNetwork network = Network(cell);
        using TorchLayers module = Module(network, Weights(network));
        TorchTensor tokens = arange(8).unsqueeze(0);
        const int last = 4;
        Tensor hidden = network.Hidden(new TorchOps(module.Tensors).Root, tokens, tokens);
        hidden.narrow(1, last, 1).sum().backward();
        Tensor gradient = module.Tensors["encoder.weight"].grad!;
        for (int token = 0; token < Vocabulary; token++)
            Assert.AreEqual(token <= last, gradient[token].abs().sum().item<float>() > 0, $"token {token}");
    }

    [TestMethod]
    [DataRow(RecurrentCell.Lstm, false)]
    [DataRow(RecurrentCell.Gru, false)]
    [DataRow(RecurrentCell.Lstm, true)]
    public void Losses_and_gradients_of_windows_in_a_row_are_those_of_stock_modules(RecurrentCell cell, bool tied)
    {
        using DisposeScope scope = NewDisposeScope();
        RecurrentNetwork network = Network(cell, tied: tied);
        HostWeights weights = Weights(network);
        using TorchLayers module = Module(network, weights);
        using var stock = new Stocks(network, weights);
        Tensor? hidden = null, memory = null;
        for (int window = 0; window < 3; window++)
        {
            // The second reader begins anew with the last window.
            Tensor goesOn = tensor(new float[] { window == 0 ? 0 : 1, window % 2 }).view(2, 1);
            Tensor tokens = TinyGpt.Tokens(2, 5, (ulong)window + 1);
            (hidden, memory) = (hidden?.mul(goesOn), memory?.mul(goesOn));
            (Tensor states, hidden, memory) = stock.Run(tokens.narrow(1, 0, 4), hidden, memory);
            Tensor expected = nn.functional.cross_entropy(
                stock.Logits(states).view(-1, Vocabulary), tokens.narrow(1, 1, 4).reshape(-1));
            stock.ClearGradients();
            expected.backward();
            (hidden, memory) = (hidden.detach(), memory?.detach());

            foreach (Tensor parameter in module.Parameters())
                parameter.grad?.zero_();
            LossTerm loss = new NetworkObjective(network, module).Loss(new Batch([tokens, goesOn], 2), 0, new() { Share = 1, Random = new SeededRandom(CPU) })[0];
            Assert.AreEqual(expected.item<float>(), loss.Value.item<float>(), 1e-5);
            foreach ((string name, Tensor gradient) in stock.Gradients(tied))
                AssertClose(TinyGpt.Values(gradient), TinyGpt.Values(module.Tensors[name].grad!), 1e-5, name);
        }
    }

    [TestMethod]
    [DataRow(RecurrentCell.Lstm)]
    [DataRow(RecurrentCell.Gru)]
    public void The_loss_of_a_long_text_is_the_same_in_windows_in_one_piece_and_as_a_score(RecurrentCell cell)
    {
        using DisposeScope scope = NewDisposeScope();
        RecurrentNetwork network = Network(cell, rows: 1);
        HostWeights weights = Weights(network);
        using TorchLayers module = Module(network, weights);
        const int length = 600; // more than are validated together
        Tensor text = TinyGpt.Tokens(1, length + 1);
        double whole = new NetworkObjective(network, module).ValidationLoss(new Batch([text], 1), default)[0].Value.item<float>();
        double sum = 0;
        for (int start = 0; start < length; start += 12)
        {
            Tensor goesOn = full([1, 1], start == 0 ? 0f : 1f);
            sum += new NetworkObjective(network, module).Loss(
                new Batch([text.narrow(1, start, 13), goesOn], 1), 0, new() { Share = 1, Random = new SeededRandom(CPU) })[0].Value.item<float>();
        }
        Assert.AreEqual(whole, sum / (length / 12), 1e-5);
        using var model = new TrainedLanguageModel(network, weights);
        float[] scores = new float[2];
        int[] tokens = [.. text.data<long>().Select(t => (int)t)];
        model.Evaluate([tokens[..9], tokens], scores, default);
        Assert.AreEqual(whole, scores[1], 1e-5);
    }

    [TestMethod]
    public void Names_and_shapes_are_those_of_a_torch_module()
    {
        foreach (RecurrentCell cell in Enum.GetValues<RecurrentCell>())
        {
            RecurrentNetwork network = Network(cell);
            using var stock = new Stocks(network, Weights(network));
            CollectionAssert.AreEquivalent(
                stock.StateDict().Select(t => $"{t.Name} {TensorSpec.Describe(t.Value.shape)}").ToArray(),
                network.Tensors.Select(t => $"{t.Name} {TensorSpec.Describe(t.Shape)}").ToArray());
        }
    }

    [TestMethod]
    public void Sizes_beyond_any_tensor_are_refused()
    {
        StringAssert.Contains(
            Assert.Throws<FormatException>(() => Network(RecurrentCell.Lstm, width: 65_536)).Message, "65536");
    }

    internal static RecurrentNetwork Network(
        RecurrentCell cell, int layers = 2, int width = Width, bool tied = false, int rows = 2) =>
        new(new RecurrentLanguageModelOptions
        {
            VocabularySize = Vocabulary, Cell = cell, Layers = layers, Width = width, TieEmbeddings = tied, BatchSize = rows,
        });

    internal static HostWeights Weights(RecurrentNetwork network, ulong seed = 3)
    {
        var weights = new HostWeights(network.Tensors);
        var random = new SplitMix64(seed);
        foreach (TensorSpec spec in weights.Specs)
        {
            foreach (ref float value in weights[spec.Name].AsSpan())
                value = (float)(2 * random.NextDouble() - 1);
        }
        return weights;
    }

    private static TorchLayers Module(RecurrentNetwork network, HostWeights weights)
    {
        var layers = new TorchLayers(network.Declare, CPU, 3);
        layers.LoadStateDict(layers.ToHost(network.Declared().Tensors).With(weights, spec => weights.Find(spec.Name)));
        return layers;
    }

    private static IDisposable? Engine(bool onTorch) =>
        onTorch ? NativeParts.Pretend(new DllNotFoundException(), null) : null;

    private static (Tensor Hidden, Tensor Logits) Stock(
        RecurrentNetwork network, HostWeights weights, int[][] texts, out Stocks stock)
    {
        using IDisposable noGradient = no_grad();
        stock = new Stocks(network, weights);
        Tensor hidden = stock.Run(tensor(texts[0].Select(t => (long)t).ToArray()).unsqueeze(0), null, null).Hidden;
        return (hidden, stock.Logits(hidden));
    }

    private static void AssertClose(
        ReadOnlySpan<float> expected, ReadOnlySpan<float> found, double tolerance = 1e-5, string name = "")
    {
        Assert.AreEqual(expected.Length, found.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], found[i], tolerance * (1 + Math.Abs(expected[i])), $"{name} {i}");
    }

    /// <summary>The same network of torch's own modules.</summary>
    private sealed class Stocks : IDisposable
    {
        private readonly Embedding _encoder;
        private readonly nn.Module _cells;
        private readonly Linear _decoder;
        private readonly bool _tied;

        public Stocks(RecurrentNetwork network, HostWeights weights)
        {
            (int width, int layers) = (network.Width, network.Options.Layers);
            _encoder = nn.Embedding(Vocabulary, width);
            _cells = network.Options.Cell == RecurrentCell.Lstm
                ? nn.LSTM(width, width, layers, batchFirst: true) : nn.GRU(width, width, layers, batchFirst: true);
            _decoder = nn.Linear(width, Vocabulary);
            _tied = network.Options.TieEmbeddings;
            using IDisposable noGradient = no_grad();
            foreach ((string name, Tensor value) in StateDict())
                value.copy_(tensor(weights[name]).view(value.shape));
        }

        public IEnumerable<(string Name, Tensor Value)> StateDict() =>
        [
            ("encoder.weight", _encoder.weight!), .. _cells.named_parameters().Select(p => ("rnn." + p.name, (Tensor)p.parameter)),
            .. _tied ? [] : new (string, Tensor)[] { ("decoder.weight", _decoder.weight!) }, ("decoder.bias", _decoder.bias!),
        ];

        public (Tensor Hidden, Tensor Last, Tensor? Memory) Run(Tensor tokens, Tensor? hidden, Tensor? memory)
        {
            Tensor x = _encoder.call(tokens);
            if (_cells is GRU gru)
            {
                (Tensor y, Tensor last) = gru.call(x, hidden);
                return (y, last, null);
            }
            (Tensor all, Tensor h, Tensor c) = ((LSTM)_cells).call(x, hidden is null ? null : (hidden, memory!));
            return (all, h, c);
        }

        public Tensor Logits(Tensor hidden) =>
            nn.functional.linear(hidden, _tied ? _encoder.weight! : _decoder.weight!, _decoder.bias!);

        public void ClearGradients()
        {
            foreach ((_, Tensor value) in StateDict())
                value.grad?.zero_();
        }

        public IEnumerable<(string Name, Tensor Gradient)> Gradients(bool tied) => StateDict().Select(t => (t.Name, t.Value.grad!));

        public void Dispose()
        {
            _encoder.Dispose();
            _cells.Dispose();
            _decoder.Dispose();
        }
    }
}
