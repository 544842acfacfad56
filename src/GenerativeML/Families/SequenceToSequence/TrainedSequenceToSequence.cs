namespace GenerativeML;

/// <summary>
/// A trained transformer of sources and targets: searches for the targets of sources, and tells how likely given ones are.
/// Safe to use from several threads.
/// </summary>
internal sealed class TrainedSequenceToSequence(
    SequenceToSequenceNetwork network, HostWeights weights, ComputeDevice device = default, bool fallbackToCpu = false)
    : IDisposable
{
    // Sources are padded to a multiple of it, whatever others there are, so that a row gets the same bits among others.
    private const int Padding = 8;

    // Beams that are stepped on together, and the memory for their keys and values.
    private const int MaxBeams = 256;
    private const long MaxCacheBytes = 1L << 28;

    private readonly Lock _opening = new();
    private readonly int _end = network.Options.TargetTokenizer!.EndOfTextId!.Value;
    private readonly int _sourceEnd = network.Options.SourceTokenizer!.EndOfTextId!.Value;
    private SequenceModel? _sequences;

    public SequenceToSequenceNetwork Network => network;

    /// <summary>The weights; they have to stay as they are.</summary>
    public HostWeights Weights => weights;

    // Searches that are worth running at once; otherwise threads share out products.
    private int Threads => IsLarge || device != ComputeDevice.Cpu ? 1 : Environment.ProcessorCount;

    private bool IsLarge => network.ParameterCount * sizeof(float) >= TrainedLanguageModel.LargeBytes;

    /// <summary>Room for the targets of sources, so many of each.</summary>
    public SequenceState Start(int sequences, int capacity, SourceRoom room)
    {
        lock (_opening)
        {
            _sequences ??= new SequenceModel(
                new TargetPass(network), weights, network.Options.Width, network.VocabularySize, device, fallbackToCpu,
                IsLarge ? Environment.ProcessorCount : 1, sources: network.SourceReader);
            return _sequences.Start(sequences, capacity, room);
        }
    }

    /// <summary>Lets go of what computes, with the device's memory; it is made anew if it is needed after all.</summary>
    public void Dispose()
    {
        lock (_opening)
        {
            _sequences?.Dispose();
            _sequences = null;
        }
    }

    /// <summary>
    /// Searches for the targets of sources, which are without their ends: what was found of each, best first. What one
    /// becomes does not depend on the others.
    /// </summary>
    public IReadOnlyList<FoundSequence>[] Generate(
        IReadOnlyList<int[]> sources, BeamSearchOptions options, CancellationToken cancellation = default)
    {
        int most = Math.Min(options.MaxTokens ?? int.MaxValue, network.Options.MaxTargetTokens!.Value);
        long each = 2L * sizeof(float) * network.Options.DecoderLayers * network.Options.Width * (most + 1);
        int[][] batches =
        [
            .. Enumerable.Range(0, sources.Count).GroupBy(i => LengthOf(sources[i]))
                .SelectMany(group => group.Chunk(Together(group.Key))),
        ];
        var found = new IReadOnlyList<FoundSequence>[sources.Count];
        TrainedLanguageModel.ForEach(batches.Length, Threads, batch =>
        {
            int[][] those = [.. batches[batch].Select(i => Ended(sources[i]))];
            BeamSearch[] searches = Search(those, options, most, cancellation);
            for (int i = 0; i < those.Length; i++)
                found[batches[batch][i]] = searches[i].Results();
        });
        return found;

        // What a source of so many tokens takes: keys and values for its beams, and while it is read the attention's shares.
        int Together(long length)
        {
            long source = sizeof(float) * length
                * (2L * network.Options.DecoderLayers * network.Options.Width + network.Options.Heads * length);
            return (int)Math.Max(1, Math.Min(MaxBeams / options.Beams, MaxCacheBytes / (each * options.Beams + source)));
        }
    }

    /// <summary>The log-probabilities of targets, each given a source, both without their ends; those of the ends count.</summary>
    public double[] LogProbabilities(IReadOnlyList<int[]> sources, IReadOnlyList<int[]> targets)
    {
        var sums = new double[sources.Count];
        TrainedLanguageModel.ForEach(sums.Length, Threads, i =>
        {
            int[] target = [_end, .. targets[i], _end];
            using SequenceState state = Start(1, target.Length, new(1, LengthOf(sources[i]), 1));
            state.ReadSources([Ended(sources[i])]);
            for (int at = 0; at < target.Length - 1;)
            {
                int count = Math.Min(state.MaxResults, target.Length - 1 - at);
                state.Read(0, at, target.AsSpan(at, count), all: true);
                for (int j = 0; j < count; j++)
                    sums[i] += state.Logits(j)[target[at + j + 1]] - TrainedLanguageModel.LogSumExp(state.Logits(j));
                at += count;
            }
        });
        return sums;
    }

    /// <summary>
    /// As a graph: source tokens (B, S) with ones for those that count, and target tokens (B, T) → logits of those that
    /// follow, (B, T, V). In two: sources → what is kept of them; that, target tokens and the keys and values of earlier
    /// ones → logits.
    /// </summary>
    public OnnxExport ToOnnx(OnnxContent content)
    {
        var graph = new OnnxExport(weights);
        bool encodes = content != OnnxContent.LogitsWithCache, decodes = content != OnnxContent.Encode;
        OnnxTensor none = graph.Constant<long>("none", OnnxType.Int64, [], [0]);
        OnnxTensor[] made = encodes
            ? Encode()
            : [.. network.SourceReader.Shapes.Select((shape, i) =>
                graph.Input(SourceName(i), OnnxType.Float, [-1, .. shape], SourceSizes(shape)))];
        for (int i = 0; i < made.Length && !decodes; i++)
            graph.Output(SourceName(i), made[i], OnnxType.Float, SourceSizes(network.SourceReader.Shapes[i]));
        if (decodes)
        {
            OnnxTensor target = graph.Input("decoder_input_ids", OnnxType.Int64, [-1, -1], ["batch", "target"]);
            OnnxTensor first = encodes
                ? none
                : graph.AddPast(network.Options.DecoderLayers, network.Options.Heads, network.Options.Width / network.Options.Heads);
            OnnxTensor end = first + target.Sizes(1, 2).Squeeze(0);
            graph.Positions = (graph.Range(first, end), graph.Range(none, end));
            OnnxTensor hidden = network.Decode<OnnxTensor>(graph.Root, target, graph.Positions.Queries, made);
            graph.Output("logits", SequenceToSequenceNetwork.Logits(graph.Root, hidden), OnnxType.Float, "batch", "target");
        }
        graph.Describe("family", SequenceToSequenceTransformer.SavedFamily.Name);
        graph.Describe("content", !decodes ? "encode" : encodes ? "logits" : "logits with cache");
        return graph;

        OnnxTensor[] Encode()
        {
            OnnxTensor source = graph.Input("input_ids", OnnxType.Int64, [-1, -1], ["batch", "source"]);
            OnnxTensor mask = graph.Input("attention_mask", OnnxType.Int64, [-1, -1], ["batch", "source"]);
            OnnxTensor counts = graph.Node("Cast", mask.Shape, [mask], ("to", (int)OnnxType.Float));
            return network.Encode(graph.Root, source, graph.Range(none, source.Sizes(1, 2).Squeeze(0)), counts);
        }

        static string SourceName(int value) => value == 0
            ? "source.mask"
            : FormattableString.Invariant($"source.{(value - 1) / 2}.{(value % 2 == 1 ? "key" : "value")}");

        static string[] SourceSizes(long[] shape) => ["batch", .. shape.Select(n => n < 0 ? "source" : "")];
    }

    private int[] Ended(int[] source) => [.. source, _sourceEnd];

    // With its end, padded; but not beyond the positions that there are.
    private int LengthOf(int[] source) => Math.Min(
        (source.Length + Padding) / Padding * Padding, network.Options.MaxSourceTokens!.Value + 1);

    private BeamSearch[] Search(int[][] sources, BeamSearchOptions options, int most, CancellationToken cancellation)
    {
        int beams = options.Beams, spare = sources.Length * beams;
        BeamSearch[] all = [.. sources.Select(_ => new BeamSearch(options, _end, most))];
        List<BeamSearch> open = [.. all];
        using SequenceState state = Start(
            spare + 1, most + 1, new(sources.Length, LengthOf(sources[0][..^1]), beams));
        state.ReadSources(sources);
        for (int position = 0; open.Count > 0; position++)
        {
            cancellation.ThrowIfCancellationRequested();
            int[] tokens = [.. open.SelectMany(search => Enumerable.Range(0, beams).Select(search.Token))];
            state.Read(tokens, [.. Enumerable.Repeat(position, tokens.Length)]);
            for (int i = 0; i < open.Count; i++)
            {
                open[i].Advance(beam => state.Logits(i * beams + beam));
                if (!open[i].IsOver)
                    Reorder(state, i * beams, spare, open[i].Parents, position + 1);
            }
            Close(position + 1);
        }
        return all;

        // Sources, and the beams of each, are used without gaps.
        void Close(int tokens)
        {
            for (int i = open.Count - 1; i >= 0; i--)
            {
                if (!open[i].IsOver)
                    continue;
                int last = open.Count - 1;
                if (i < last)
                {
                    state.CopySource(last, i);
                    for (int beam = 0; beam < beams; beam++)
                        state.Copy(last * beams + beam, i * beams + beam, tokens);
                }
                open[i] = open[last];
                open.RemoveAt(last);
            }
        }
    }

    // Gives each beam what its parent remembers: those first that no other needs, what then goes round by the spare place.
    private static void Reorder(SequenceState state, int first, int spare, int[] parents, int tokens)
    {
        int[] from = [.. parents.Select(parent => first + parent)];
        List<int> left = [.. Enumerable.Range(0, from.Length).Where(beam => from[beam] != first + beam)];
        while (left.Count > 0)
        {
            int free = left.FindIndex(beam => left.TrueForAll(other => other == beam || from[other] != first + beam));
            if (free < 0)
            {
                state.Copy(first + left[0], spare, tokens);
                foreach (int beam in left.Where(beam => from[beam] == first + left[0]))
                    from[beam] = spare;
                continue;
            }
            state.Copy(from[left[free]], first + left[free], tokens);
            left.RemoveAt(free);
        }
    }
}
