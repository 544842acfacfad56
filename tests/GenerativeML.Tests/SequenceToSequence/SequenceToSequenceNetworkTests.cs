using Microsoft.ML.OnnxRuntime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace GenerativeML.Tests.SequenceToSequence;

[TestClass]
public sealed class SequenceToSequenceNetworkTests
{
    private const int Width = 8, Heads = 2;

    private static readonly int[] Source = [3, 1, 4, 1, 2, 0, 5], Target = [2, 0, 1, 3, 1];

    [TestMethod]
    public void Attention_by_hand()
    {
        using DisposeScope scope = NewDisposeScope();
        // Scores 0 and ln 3: a quarter and three quarters of what the two positions say.
        TorchTensor query = ones([1, 1, 1]), key = tensor(new[] { 0f, MathF.Log(3) }).view(1, 2, 1);
        TorchTensor value = tensor(new[] { 8f, 4f }).view(1, 2, 1);
        Assert.AreEqual(5, Attention.Attend(query, key, value, 1, 1, 2, 1).Value.item<float>(), 1e-6);
        TorchTensor first = tensor(new[] { 1f, 0f }).view(1, 2);
        Assert.AreEqual(8, Attention.Attend(query, key, value, 1, 1, 2, 1, first).Value.item<float>(), 1e-6);
        // In two heads of width one, whose scores are 0 and ln 3, and ln 3 and 0.
        TorchTensor both = tensor(new[] { 0f, MathF.Log(3), MathF.Log(3), 0f }).view(1, 2, 2);
        TorchTensor values = tensor(new[] { 8f, 8f, 4f, 4f }).view(1, 2, 2);
        float[] seen = TinyGpt.Values(Attention.Attend((TorchTensor)ones([1, 1, 2]), both, values, 2, 1, 2, 2));
        AssertClose([5f, 7f], seen);
    }

    [TestMethod]
    public void Hidden_states_are_those_of_stock_modules()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        SequenceToSequenceNetwork network = Network();
        HostWeights weights = Weights(network);
        using TorchLayers module = Module(network, weights);
        // The second source has a token less: what is behind it does not count.
        Tensor source = Tokens(Source, Source), target = Tokens(Target, [1, 1, 2, 0, 3]), counts = ones([2, 7]);
        counts[1, 6] = 0;
        Tensor expected = Stock(module.Tensors, source, counts, target);
        Tensor found = network.Hidden(new TorchOps(module.Tensors).Root, source, counts, target);
        AssertClose(TinyGpt.Values(expected), TinyGpt.Values(found));
    }

    [TestMethod]
    public void No_target_token_sees_a_later_one_and_each_sees_all_before_and_the_whole_source()
    {
        using DisposeScope scope = NewDisposeScope();
        SequenceToSequenceNetwork network = Network();
        using TorchLayers module = Module(network, Weights(network));
        const int last = 2;
        Tensor target = arange(5).unsqueeze(0), source = arange(6).unsqueeze(0), counts = ones([1, 6]);
        counts[0, 4] = 0;
        network.Hidden(new TorchOps(module.Tensors).Root, source, counts, target).narrow(1, last, 1).sum().backward();
        Tensor gradient = module.Tensors["decoder.token.weight"].grad!, read = module.Tensors["encoder.token.weight"].grad!;
        for (int token = 0; token < 5; token++)
            Assert.AreEqual(token <= last, gradient[token].abs().sum().item<float>() > 0, $"target {token}");
        for (int token = 0; token < 6; token++)
            Assert.AreEqual(token != 4, read[token].abs().sum().item<float>() > 0, $"source {token}");
    }

    [TestMethod]
    public void The_loss_is_the_mean_over_the_tokens_that_count_with_smoothed_labels_and_moves_every_parameter()
    {
        using DisposeScope scope = NewDisposeScope();
        SequenceToSequenceNetwork network = Network(smoothing: 0.2);
        HostWeights weights = Weights(network);
        using TorchLayers module = Module(network, weights);
        TokenPair[] pairs = [new(Source[..6], Target[..4]), new([2, 1], [1]), new([0, 3, 5, 4], [3, 0, 2])];
        using var data = new TextPairData(pairs, 6, 4, network.Options with { BatchSize = 3 }, CPU);
        using IEnumerator<Batch> batches = data.Epoch(0, 3, 0, default).GetEnumerator();
        Assert.IsTrue(batches.MoveNext());
        Batch batch = batches.Current;
        IReadOnlyList<LossTerm> terms = new NetworkObjective(network, module).Loss(batch, 0, new() { Share = 1 });
        Assert.HasCount(1, terms);
        terms[0].Value.backward();
        foreach ((string name, Tensor parameter) in module.Tensors)
            Assert.IsGreaterThan(0, parameter.grad?.abs().sum().item<float>() ?? 0, name);

        // Pair by pair, without padding.
        using IDisposable noGradient = no_grad();
        double sum = 0, plain = 0, count = 0;
        foreach (TokenPair pair in pairs)
        {
            Tensor hidden = network.Hidden(
                new TorchOps(module.Tensors).Root, Tokens([.. pair.Source, 6]), ones([1, pair.Source.Length + 1]),
                Tokens([4, .. pair.Target]));
            Tensor logarithms = hidden.matmul(module.Tensors["decoder.token.weight"].t()).log_softmax(-1)[0];
            int[] following = [.. pair.Target, 4];
            for (int i = 0; i < following.Length; i++)
            {
                double right = logarithms[i, following[i]].item<float>();
                plain -= right;
                sum -= 0.8 * right + 0.2 * logarithms[i].mean().item<float>();
                count++;
            }
        }
        Assert.AreEqual(sum / count, terms[0].Value.item<float>(), 1e-5);
        Assert.AreEqual(
            plain / count, new NetworkObjective(network, module).ValidationLoss(batch, default)[0].Value.item<float>(), 1e-5);
        using var trained = new TrainedSequenceToSequence(network, weights);
        double[] scores = trained.LogProbabilities([.. pairs.Select(p => p.Source)], [.. pairs.Select(p => p.Target)]);
        Assert.AreEqual(-plain, scores.Sum(), 1e-4);
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Token_by_token_with_several_beams_and_sources_is_as_all_at_once(bool onTorch)
    {
        using DisposeScope scope = NewDisposeScope();
        SequenceToSequenceNetwork network = Network();
        HostWeights weights = Weights(network);
        int[][] sources = [Source, Source[..3], [1, 6]];
        int[][] targets = [[4, 0, 1, 2], [4, 3, 3, 1], [4, 1, 0, 0], [4, 2, 2, 2], [4, 0, 0, 3], [4, 1, 1, 1]];
        using TorchLayers module = Module(network, weights);
        float[][] expected = [.. targets.Select((target, i) => Logits(network, module, sources[i / 2], target))];
        using IDisposable? engine = Engine(onTorch);
        using var model = new TrainedSequenceToSequence(network, weights);
        using SequenceState state = model.Start(7, 5, new(3, 8, 2));
        state.ReadSources(sources);
        int[] order = [0, 1, 2, 3, 4, 5];
        for (int position = 0; position < 4; position++)
        {
            state.Read([.. order.Select(i => targets[i][position])], [.. order.Select(_ => position)]);
            for (int slot = 0; slot < order.Length; slot++)
            {
                AssertClose(
                    expected[order[slot]].AsSpan(position * network.VocabularySize, network.VocabularySize), state.Logits(slot),
                    1e-5, $"{slot} at {position}");
            }
            if (position == 1)
            {
                // The last source comes to the first one's place, its beams the other way round.
                state.CopySource(2, 0);
                state.Copy(4, 1, 2);
                state.Copy(5, 0, 2);
                order = [5, 4, 2, 3];
            }
        }
        state.Read(2, 0, targets[2], all: true);
        for (int i = 0; i < 4; i++)
            AssertClose(expected[2].AsSpan(i * network.VocabularySize, network.VocabularySize), state.Logits(i));
    }

    [TestMethod]
    [DataRow(1.0, false)]
    [DataRow(0.0, false)]
    [DataRow(0.5, true)]
    public void With_as_many_beams_as_there_are_texts_the_search_finds_the_best_of_all(double penalty, bool onTorch)
    {
        using DisposeScope scope = NewDisposeScope();
        const int most = 3;
        SequenceToSequenceNetwork network = Network(window: most);
        HostWeights weights = Weights(network, seed: 8);
        // All texts of the tokens 0 to 3, 4 being the end.
        List<int[]> texts = [[]];
        for (int i = 0, end = 1; i < end; i++)
        {
            if (texts[i].Length < most)
                texts.AddRange(Enumerable.Range(0, 4).Select(token => (int[])[.. texts[i], token]));
            end = texts.Count;
        }
        Assert.HasCount(1 + 4 + 16 + 64, texts);
        using TorchLayers module = Module(network, weights);
        (int[] Text, double Score)[] expected =
        [
            .. texts.Select(text =>
            {
                float[] logits = Logits(network, module, [.. Source[..4], 6], [4, .. text]);
                int[] following = [.. text, 4];
                double sum = following.Select((token, i) =>
                    (double)tensor(logits[(i * 5)..(i * 5 + 5)]).log_softmax(-1)[token].item<float>()).Sum();
                return (text, sum / Math.Pow(following.Length, penalty));
            }).OrderByDescending(t => t.Item2),
        ];
        using IDisposable? engine = Engine(onTorch);
        using var model = new TrainedSequenceToSequence(network, weights);
        IReadOnlyList<FoundSequence> found = model.Generate(
            [Source[..4]], new() { Beams = 125, LengthPenalty = penalty })[0];
        Assert.HasCount(texts.Count, found);
        for (int i = 0; i < found.Count; i++)
            Assert.AreEqual(expected[i].Score, found[i].Score, 1e-5);
        CollectionAssert.AreEqual(expected[0].Text, found[0].Tokens);
        // Greedy takes the likeliest token each time.
        FoundSequence greedy = model.Generate([Source[..4]], new() { Beams = 1, LengthPenalty = penalty })[0].Single();
        List<int> tokens = [4];
        while (tokens.Count <= most)
        {
            float[] logits = Logits(network, module, [.. Source[..4], 6], [.. tokens]);
            int next = Array.IndexOf(logits[^5..], logits[^5..].Max());
            if (next == 4)
                break;
            tokens.Add(next);
        }
        CollectionAssert.AreEqual(tokens.Skip(1).ToArray(), greedy.Tokens);
    }

    [TestMethod]
    public void A_search_gives_the_same_bits_alone_and_among_others_with_few_beams_and_many_sources()
    {
        SequenceToSequenceNetwork network = Network(window: 12);
        using var model = new TrainedSequenceToSequence(network, Weights(network));
        var random = new Random(1);
        int[][] sources =
            [.. Enumerable.Range(0, 60).Select(_ => Enumerable.Range(0, random.Next(1, 12)).Select(_ => random.Next(6)).ToArray())];
        foreach (int beams in (int[])[1, 3])
        {
            IReadOnlyList<FoundSequence>[] together = model.Generate(sources, new() { Beams = beams });
            for (int i = 0; i < sources.Length; i += 7)
            {
                IReadOnlyList<FoundSequence> alone = model.Generate([sources[i]], new() { Beams = beams })[0];
                Assert.HasCount(together[i].Count, alone);
                foreach ((FoundSequence a, FoundSequence b) in alone.Zip(together[i]))
                {
                    CollectionAssert.AreEqual(a.Tokens, b.Tokens);
                    Assert.AreEqual(a.LogProbability, b.LogProbability);
                    // The log-probability of what was found is what scoring gives the same pair.
                    Assert.AreEqual(model.LogProbabilities([sources[i]], [a.Tokens])[0], a.LogProbability, 1e-4);
                }
            }
        }
    }

    [TestMethod]
    public void An_ONNX_files_logits_are_the_networks_with_padding_and_without()
    {
        using DisposeScope scope = NewDisposeScope();
        SequenceToSequenceNetwork network = Network();
        HostWeights weights = Weights(network);
        using TorchLayers module = Module(network, weights);
        using var model = new TrainedSequenceToSequence(network, weights);
        string folder = Directory.CreateTempSubdirectory().FullName, file = Path.Combine(folder, "model.onnx");
        try
        {
            model.ToOnnx(OnnxContent.Logits).Save(file);
            using var session = new InferenceSession(file);
            using OrtValue source = Long([.. Source, .. Source[..5], 9 % 7, 0], 2, 7), mask = Long([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0], 2, 7);
            using OrtValue target = Long([.. Target, .. Target], 2, 5);
            using var results = session.Run(
                new RunOptions(), ["input_ids", "attention_mask", "decoder_input_ids"], [source, mask, target], ["logits"]);
            float[] logits = results[0].GetTensorDataAsSpan<float>().ToArray();
            float[] expected =
                [.. Logits(network, module, Source, Target), .. Logits(network, module, Source[..5], Target)];
            AssertClose(expected, logits);

            // In two files: sources once, then targets in parts.
            model.ToOnnx(OnnxContent.Encode).Save(file);
            using var encoder = new InferenceSession(file);
            string[] kept = [.. encoder.OutputNames];
            using var made = encoder.Run(new RunOptions(), ["input_ids", "attention_mask"], [source, mask], kept);
            model.ToOnnx(OnnxContent.LogitsWithCache).Save(file);
            using var decoder = new InferenceSession(file);
            string[] past = [.. decoder.InputNames.Except(["decoder_input_ids", .. kept])];
            string[] present = [.. past.Select(n => n.Replace("past_key_values", "present", StringComparison.Ordinal))];
            int[] shape = decoder.InputMetadata[past[0]].Dimensions;
            OrtValue[] cache = [.. past.Select(_ => OrtValue.CreateAllocatedTensorValue(
                OrtAllocator.DefaultInstance, Microsoft.ML.OnnxRuntime.Tensors.TensorElementType.Float, [2, shape[1], 0, shape[3]]))];
            int vocabulary = logits.Length / 10;
            foreach ((int first, int count) in new[] { (0, 3), (3, 1), (4, 1) })
            {
                int[] part = Target[first..(first + count)];
                using OrtValue tokens = Long([.. part, .. part], 2, count);
                IDisposableReadOnlyCollection<OrtValue> step = decoder.Run(
                    new RunOptions(), ["decoder_input_ids", .. kept, .. past], [tokens, .. made, .. cache], ["logits", .. present]);
                float[] actual = step[0].GetTensorDataAsSpan<float>().ToArray();
                for (int text = 0; text < 2; text++)
                {
                    AssertClose(
                        expected.AsSpan((text * 5 + first) * vocabulary, count * vocabulary),
                        actual.AsSpan(text * count * vocabulary, count * vocabulary));
                }
                cache = [.. step.Skip(1)];
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        static OrtValue Long(int[] values, params long[] shape) =>
            OrtValue.CreateTensorValueFromMemory([.. values.Select(v => (long)v)], shape);
    }

    [TestMethod]
    public void An_epoch_has_each_pair_once_in_batches_of_like_lengths_and_goes_on_in_the_middle()
    {
        var random = new Random(2);
        TokenPair[] pairs =
        [
            .. Enumerable.Range(0, 203).Select(i => new TokenPair(
                [.. Enumerable.Repeat(i, random.Next(1, 30))], [.. Enumerable.Repeat(i, random.Next(1, 30))])),
        ];
        SequenceToSequenceOptions options = new() { Seed = 3, ValidationFraction = 0.1 };
        using var data = new TextPairData(pairs, 999, 998, options, CPU);
        Assert.AreEqual(203, data.TrainingRows + data.ValidationRows);
        // What a batch was made of goes with it, although a run's scope is around all.
        using (DisposeScope run = NewDisposeScope())
        {
            long before = Tensor.TotalCount;
            foreach (Batch batch in data.Epoch(0, 16, 0, default))
                Assert.IsLessThanOrEqualTo(before + 4, Tensor.TotalCount);
            Assert.AreEqual(before, Tensor.TotalCount);
        }
        (long[] Numbers, long Padding, long Tokens)[] first = Read(data.Epoch(0, 16, 0, default));
        (long[] Numbers, long, long)[] held = Read(data.Validation(16));
        CollectionAssert.AreEquivalent(
            Enumerable.Range(0, 203).Select(i => (long)i).ToArray(), first.Concat(held).SelectMany(b => b.Item1).ToArray());
        Assert.IsLessThan(0.1, first.Sum(b => b.Padding) / (double)first.Sum(b => b.Tokens), "of targets");
        (long[] Numbers, long, long)[] later = Read(data.Epoch(0, 16, 5, default));
        CollectionAssert.AreEqual(first[5..].SelectMany(b => b.Item1).ToArray(), later.SelectMany(b => b.Item1).ToArray());
        CollectionAssert.AreNotEqual(
            first.SelectMany(b => b.Item1).ToArray(), Read(data.Epoch(1, 16, 0, default)).SelectMany(b => b.Item1).ToArray());

        static (long[], long, long)[] Read(IEnumerable<Batch> batches) =>
        [
            .. batches.Select(batch =>
            {
                using DisposeScope scope = NewDisposeScope();
                long padding = batch[3].eq(SequenceToSequenceNetwork.Ignored).sum().item<long>(), all = batch[3].numel();
                Assert.AreEqual(all - padding, batch.Weight);
                Assert.AreEqual(998, batch[2][0, 0].item<long>());
                return (batch[0].select(1, 0).data<long>().ToArray(), padding, all);
            }),
        ];
    }

    internal static SequenceToSequenceNetwork Network(int window = 7, double smoothing = 0.1) =>
        new(new SequenceToSequenceOptions
        {
            Seed = 1, Width = Width, Heads = Heads, MaxSourceTokens = 20, MaxTargetTokens = window, LabelSmoothing = smoothing,
            LearningRate = 1e-3, MatrixLearningRate = 0.01,
            SourceTokenizer = new CharacterTokenizer("abcdef", UnknownCharacters.Error, endOfText: true),
            TargetTokenizer = new CharacterTokenizer("wxyz", UnknownCharacters.Error, endOfText: true),
        });

    internal static HostWeights Weights(SequenceToSequenceNetwork network, ulong seed = 3)
    {
        var weights = new HostWeights(network.Tensors);
        var random = new SplitMix64(seed);
        foreach (TensorSpec spec in weights.Specs)
        {
            foreach (ref float value in weights[spec.Name].AsSpan())
                value = (float)((spec.Name.Contains("norm", StringComparison.Ordinal) ? 1 : 0) + 1.4 * (random.NextDouble() - 0.5));
        }
        return weights;
    }

    private static TorchLayers Module(SequenceToSequenceNetwork network, HostWeights weights)
    {
        var layers = new TorchLayers(network.Declare, CPU, 3);
        layers.LoadStateDict(weights);
        return layers;
    }

    // The logits of a target's tokens, all at once, by torch.
    private static float[] Logits(SequenceToSequenceNetwork network, TorchLayers module, int[] source, int[] target)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        Scope<TorchTensor> w = new TorchOps(module.Tensors).Root;
        TorchTensor hidden = network.Hidden(w, Tokens(source), ones([1, source.Length]), Tokens(target));
        return TinyGpt.Values(SequenceToSequenceNetwork.Logits(w, hidden));
    }

    private static Tensor Tokens(params int[][] rows) =>
        HostTensors.Index([.. rows.SelectMany(row => row.Select(t => (long)t))], CPU).view(rows.Length, -1);

    private static IDisposable? Engine(bool onTorch) =>
        onTorch ? NativeParts.Pretend(new DllNotFoundException(), null) : null;

    // The same network of torch's own attention, norms and dense layers.
    private static Tensor Stock(IReadOnlyDictionary<string, Tensor> w, Tensor source, Tensor counts, Tensor target)
    {
        // Added to scores: this module takes no mask of truth values for it.
        Tensor later = full([target.size(1), target.size(1)], float.NegativeInfinity).triu(1);
        Tensor hidden = counts.eq(0);
        Tensor x = w["encoder.token.weight"][source] + w["encoder.position.weight"].narrow(0, 0, source.size(1));
        for (int i = 0; i < 2; i++)
        {
            Tensor normal = Norm(x, $"encoder.{i}.norm_1");
            x += Attend(
                normal, normal, w[$"encoder.{i}.query_key_value.weight"], w[$"encoder.{i}.query_key_value.bias"],
                $"encoder.{i}.projection", hidden, null);
            x += Dense(Norm(x, $"encoder.{i}.norm_2"), $"encoder.{i}.dense");
        }
        Tensor read = Norm(x, "encoder.norm");
        Tensor y = w["decoder.token.weight"][target] + w["decoder.position.weight"].narrow(0, 0, target.size(1));
        for (int i = 0; i < 2; i++)
        {
            string layer = $"decoder.{i}";
            Tensor normal = Norm(y, $"{layer}.norm_1");
            y += Attend(
                normal, normal, w[$"{layer}.query_key_value.weight"], w[$"{layer}.query_key_value.bias"],
                $"{layer}.projection", null, later);
            y += Attend(
                Norm(y, $"{layer}.norm_2"), read,
                cat([w[$"{layer}.source_query.weight"], w[$"{layer}.source_key_value.weight"]]),
                cat([w[$"{layer}.source_query.bias"], w[$"{layer}.source_key_value.bias"]]), $"{layer}.source_projection", hidden,
                null);
            y += Dense(Norm(y, $"{layer}.norm_3"), $"{layer}.dense");
        }
        return Norm(y, "decoder.norm");

        Tensor Norm(Tensor value, string name) =>
            F.layer_norm(value, [Width], w[name + ".weight"], w[name + ".bias"]);

        Tensor Dense(Tensor value, string name) => F.linear(
            F.gelu(F.linear(value, w[name + ".0.weight"], w[name + ".0.bias"])), w[name + ".1.weight"], w[name + ".1.bias"]);

        Tensor Attend(
            Tensor query, Tensor seen, Tensor matrix, Tensor bias, string projection, Tensor? padding, Tensor? mask)
        {
            using MultiheadAttention stock = nn.MultiheadAttention(Width, Heads);
            stock.eval();
            foreach ((string name, Parameter parameter) in stock.named_parameters())
            {
                parameter.copy_(name switch
                {
                    "in_proj_weight" => matrix,
                    "in_proj_bias" => bias,
                    "out_proj.weight" => w[projection + ".weight"],
                    "out_proj.bias" => w[projection + ".bias"],
                    _ => throw new KeyNotFoundException(name),
                });
            }
            Tensor at = query.transpose(0, 1), from = seen.transpose(0, 1);
            return stock.call(at, from, from, padding, false, mask).Item1.transpose(0, 1);
        }
    }

    private static void AssertClose(
        ReadOnlySpan<float> expected, ReadOnlySpan<float> found, double tolerance = 1e-5, string name = "")
    {
        Assert.AreEqual(expected.Length, found.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], found[i], tolerance * (1 + Math.Abs(expected[i])), $"{name} {i}");
    }
}
