using Microsoft.ML.OnnxRuntime;
using static TorchSharp.torch;

namespace GenerativeML;

/// <summary>
/// A trained network of tokens that reads sequences piece by piece: each run attends to the tokens of earlier runs, whose
/// keys and values are kept, or goes on from the recurrent layers' states; at position 0 a sequence begins anew. Engines are chosen as in <see cref="InferenceCache"/>. The model may be used from several
/// threads, each of its states from one at a time; what computes is there until the last state is disposed.
/// </summary>
/// <remarks>
/// The forward pass takes all tokens and their positions, (N) or (B, T), and the numbers of those whose results are
/// wanted, (R), to final hidden states, (R, C), and logits, (R, V). More than one thread within an operation pays for
/// large networks; borrowed weights ONNX Runtime uses in place, see <see cref="OnnxSession"/>. Where there are sources, what
/// was made of those that the run's sequences look at are further inputs, each with an equal share of the sequences, one
/// after the other.
/// </remarks>
internal sealed class SequenceModel(
    IForwardPass pass, HostWeights weights, int width, int vocabulary, ComputeDevice device = default,
    bool fallbackToCpu = false, int threads = 1, bool borrow = false, SourceReader? sources = null) : IDisposable
{
    private readonly Lock _gate = new();
    private ISequenceEngine? _engine;
    private int _states;
    private bool _disposed;

    /// <summary>Features of a hidden state, C.</summary>
    public int Width => width;

    /// <summary>Tokens that there are, V.</summary>
    public int Vocabulary => vocabulary;

    /// <summary>
    /// Makes room for sequences of at most so many tokens, and for as many sources, of a length, as they look at.
    /// </summary>
    /// <exception cref="InvalidOperationException">Neither engine can be used.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public SequenceState Start(int sequences, int capacity, SourceRoom room = default)
    {
        using IDisposable running = RunningComputations.Enter();
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _engine ??= NativeParts.Choose<ISequenceEngine>(
                device, fallbackToCpu, () => new OnnxSequences(pass, weights, threads, borrow, sources),
                place => new TorchSequences(pass, weights, place, sources));
            SequenceState state = _engine.Start(this, sequences, capacity, room);
            _states++;
            return state;
        }
    }

    public void Dispose() => Release(() => _disposed = true);

    /// <summary>A state is no longer needed.</summary>
    internal void End() => Release(() => _states--);

    private void Release(Action release)
    {
        lock (_gate)
        {
            release();
            if (!_disposed || _states > 0)
                return;
            _engine?.Dispose();
            _engine = null;
        }
    }
}

/// <summary>What keeps a network for sequences.</summary>
internal interface ISequenceEngine : IDisposable
{
    /// <summary>Makes room for sequences, and for sources.</summary>
    SequenceState Start(SequenceModel model, int sequences, int capacity, SourceRoom room);
}

/// <summary>
/// Reads what sequences look at beside their own tokens: a pass of tokens (B, S), their positions (S), and ones for those
/// that count, else zeros, (B, S). What it gives has these shapes behind the first axis; −1 stands for S.
/// </summary>
internal sealed record SourceReader(IForwardPass Pass, IReadOnlyList<long[]> Shapes)
{
    /// <summary>The shape of what is made of so many sources of a length.</summary>
    public long[] ShapeOf(int value, long sources, long length) =>
        [sources, .. Shapes[value].Select(n => n < 0 ? length : n)];
}

/// <summary>So many sources of a length, each of which so many sequences in a row look at.</summary>
internal readonly record struct SourceRoom(int Sources, int Length, int Sequences);

/// <summary>
/// Sequences in progress, with the keys and values of their tokens, or their states, and the results of the last run. Each has a slot,
/// which remembers its earlier tokens. Used by one thread at a time.
/// </summary>
internal abstract class SequenceState(SequenceModel model, SourceRoom room) : IDisposable
{
    // Logits of many tokens would not fit into a processor's cache where the vocabulary is large.
    private const int MaxLogits = 1 << 20;

    private float[] _hidden = [], _logits = [];

    /// <summary>The most tokens that a run should give all results of.</summary>
    public int MaxResults => Math.Max(16, MaxLogits / model.Vocabulary);

    /// <summary>
    /// Reads tokens of one slot, which stand at <paramref name="position"/> and after it: attention forgets what it knew
    /// from there on, and recurrent layers go on from the token before it, unless it is 0. Afterwards there are results
    /// of all of them, or only of the last.
    /// </summary>
    public void Read(int slot, int position, ReadOnlySpan<int> tokens, bool all)
    {
        int results = all ? tokens.Length : 1;
        Begin(slot, 1, tokens.Length, results);
        for (int i = 0; i < tokens.Length; i++)
            (Tokens[i], Positions[i]) = (tokens[i], position + i);
        for (int i = 0; i < results; i++)
            Results[i] = tokens.Length - results + i;
        Compute();
    }

    /// <summary>Reads a token of each of the first slots, at its position. Afterwards there are results of each.</summary>
    public void Read(ReadOnlySpan<int> tokens, ReadOnlySpan<int> positions)
    {
        Begin(0, tokens.Length, tokens.Length, tokens.Length);
        for (int i = 0; i < tokens.Length; i++)
            (Tokens[i], Positions[i], Results[i]) = (tokens[i], positions[i], i);
        Compute();
    }

    /// <summary>Reads sources, as many as there is room for; behind their tokens is what does not count.</summary>
    public void ReadSources(IReadOnlyList<int[]> sources)
    {
        long[] tokens = new long[room.Sources * room.Length], positions = new long[room.Length];
        float[] counts = new float[tokens.Length];
        for (int i = 0; i < positions.Length; i++)
            positions[i] = i;
        for (int source = 0; source < room.Sources; source++)
        {
            for (int i = 0; i < sources[source].Length; i++)
                (tokens[source * room.Length + i], counts[source * room.Length + i]) = (sources[source][i], 1);
        }
        using IDisposable running = RunningComputations.Enter();
        RunSources(tokens, positions, counts);
    }

    /// <summary>A result's logits of the token that follows, (V). May be written to.</summary>
    public Span<float> Logits(int result) => _logits.AsSpan(result * model.Vocabulary, model.Vocabulary);

    /// <summary>A result's final hidden state, (C).</summary>
    public ReadOnlySpan<float> Hidden(int result) => _hidden.AsSpan(result * model.Width, model.Width);

    /// <summary>Gives a slot what another one remembers of its first tokens.</summary>
    public abstract void Copy(int from, int to, int tokens);

    /// <summary>Puts one source in the place of another.</summary>
    public abstract void CopySource(int from, int to);

    public virtual void Dispose() => model.End();

    /// <summary>The slots of the run: the first, and how many.</summary>
    protected (int Slot, int Sequences) Range { get; private set; }

    /// <summary>The sources that there are.</summary>
    protected SourceRoom Room => room;

    /// <summary>Those that the run's sequences look at: the first, and how many.</summary>
    protected (int First, int Count) Sources => room.Sources == 0
        ? default
        : (Range.Slot / room.Sequences, Math.Max(1, Range.Sequences / room.Sequences));

    /// <summary>The run's tokens, sequence by sequence.</summary>
    protected long[] Tokens { get; private set; } = [];

    /// <summary>Where they stand.</summary>
    protected long[] Positions { get; private set; } = [];

    /// <summary>The numbers of the tokens whose results are wanted.</summary>
    protected long[] Results { get; private set; } = [];

    /// <summary>Where hidden states go, (results, C).</summary>
    protected Memory<float> HiddenStates => _hidden.AsMemory(0, Results.Length * model.Width);

    /// <summary>Where logits go, (results, V).</summary>
    protected Memory<float> AllLogits => _logits.AsMemory(0, Results.Length * model.Vocabulary);

    /// <summary>The arrays of the run are others than those of the last: steps go on with the same.</summary>
    protected virtual void Changed()
    {
    }

    /// <summary>Computes the results.</summary>
    protected abstract void Run();

    /// <summary>Keeps what is made of sources.</summary>
    protected abstract void RunSources(long[] tokens, long[] positions, float[] counts);

    private void Compute()
    {
        using IDisposable running = RunningComputations.Enter();
        Run();
    }

    private void Begin(int slot, int sequences, int tokens, int results)
    {
        if (Range == (slot, sequences) && Tokens.Length == tokens && Results.Length == results)
            return;
        Range = (slot, sequences);
        (Tokens, Positions, Results) = (new long[tokens], new long[tokens], new long[results]);
        if (_logits.Length < results * model.Vocabulary)
            (_hidden, _logits) = (new float[results * model.Width], new float[results * model.Vocabulary]);
        Changed();
    }
}

/// <summary>By ONNX Runtime: one graph for all. Keys and values stay in one buffer, of which each has a part.</summary>
internal sealed class OnnxSequences : ISequenceEngine
{
    private readonly OnnxGraph _graph;
    private readonly OnnxSession _session;
    private readonly string _hidden, _logits;
    private readonly SourceReader? _sources;
    private readonly OnnxSession? _sourceSession;
    private readonly string[] _sourceOutputs = [];

    /// <summary>Makes the sessions.</summary>
    public OnnxSequences(IForwardPass pass, HostWeights weights, int threads, bool borrow, SourceReader? sources)
    {
        if ((_sources = sources) is not null)
        {
            var source = new OnnxGraph(weights);
            OnnxTensor[] values = sources!.Pass.Run(
                source.Root,
                [
                    source.Input("tokens", OnnxType.Int64, -1, -1), source.Input("positions", OnnxType.Int64, -1),
                    source.Input("counts", OnnxType.Float, -1, -1),
                ]);
            _sourceOutputs = [.. values.Select(source.Output)];
            _sourceSession = new OnnxSession(source, weights, threads, borrow);
        }
        _graph = new OnnxGraph(weights, cached: true);
        OnnxTensor[] results = pass.Run(
            _graph.Root,
            [
                _graph.Input("tokens", OnnxType.Int64, -1), _graph.Input("positions", OnnxType.Int64, -1),
                _graph.Input("results", OnnxType.Int64, -1),
                .. sources?.Shapes.Select((_, i) => _graph.Input($"source_{i}", OnnxType.Float, sources.ShapeOf(i, -1, -1))) ?? [],
            ]);
        (_hidden, _logits) = (_graph.Output(results[0]), _graph.Output(results[1]));
        _session = new OnnxSession(_graph, weights, threads, borrow);
    }

    public SequenceState Start(SequenceModel model, int sequences, int capacity, SourceRoom room) =>
        new State(this, model, sequences, capacity, room);

    public void Dispose()
    {
        _session.Dispose();
        _sourceSession?.Dispose();
    }

    private sealed class State : SequenceState
    {
        private readonly OnnxSequences _engine;
        private readonly SequenceModel _model;
        private readonly int _capacity;
        private readonly OrtIoBinding _binding;
        private readonly float[][] _caches; // (sequences, heads, capacity, head width) or (sequences, width) each
        private readonly float[][] _made; // of sources: (sources, …) each
        private readonly List<OrtValue> _bound = [];
        private readonly int[] _total = [0];
        private int[] _last = [];

        public State(OnnxSequences engine, SequenceModel model, int sequences, int capacity, SourceRoom room)
            : base(model, room)
        {
            (_engine, _model, _capacity) = (engine, model, capacity);
            _made = [.. (engine._sources?.Shapes ?? []).Select((_, i) => new float[SizeOf(i) * room.Sources])];
            _binding = engine._session.Native.CreateIoBinding();
            _caches =
                [.. engine._graph.Cache.Select(c => new float[checked(sequences * c.Heads * Places(c) * c.Width)])];
        }

        public override void Copy(int from, int to, int tokens)
        {
            for (int i = 0; i < _caches.Length; i++)
            {
                KeptValue kept = _engine._graph.Cache[i];
                int head = Places(kept) * kept.Width, all = kept.Heads * head;
                int length = Math.Min(tokens * kept.Width, head);
                for (int at = 0; at < all; at += head)
                    _caches[i].AsSpan(from * all + at, length).CopyTo(_caches[i].AsSpan(to * all + at));
            }
        }

        public override void CopySource(int from, int to)
        {
            for (int i = 0; i < _made.Length; i++)
                _made[i].AsSpan(from * SizeOf(i), SizeOf(i)).CopyTo(_made[i].AsSpan(to * SizeOf(i)));
        }

        public override void Dispose()
        {
            _binding.Dispose();
            Unbind();
            base.Dispose();
        }

        protected override void RunSources(long[] tokens, long[] positions, float[] counts)
        {
            using OrtValue read = Value<long>(tokens, Room.Sources, Room.Length);
            using OrtValue places = Value<long>(positions, Room.Length);
            using OrtValue counting = Value<float>(counts, Room.Sources, Room.Length);
            OrtValue[] made = [.. _made.Select((values, i) => Value<float>(values, ShapeOf(i, Room.Sources)))];
            _engine._sourceSession!.Native.Run(
                _engine._sourceSession.Options, ["tokens", "positions", "counts"], [read, places, counting],
                _engine._sourceOutputs, made);
            Array.ForEach(made, value => value.Dispose());
        }

        protected override void Run()
        {
            int each = Tokens.Length / _last.Length;
            for (int i = 0; i < _last.Length; i++)
            {
                _last[i] = (int)Positions[(i + 1) * each - 1];
                if (Positions[i * each] == 0)
                    Forget(Range.Slot + i);
            }
            _total[0] = _last.Max() + 1;
            _engine._session.Native.RunWithBinding(_engine._session.Options, _binding);
        }

        protected override void Changed()
        {
            Unbind();
            (int slot, int sequences) = Range;
            _last = new int[sequences];
            Bind<long>("tokens", Tokens, Tokens.Length);
            Bind<long>("positions", Positions, Positions.Length);
            Bind<long>("results", Results, Results.Length);
            if (_engine._graph.Cache.Any(kept => kept.PerToken))
            {
                Bind<int>("last", _last, sequences);
                Bind<int>("total", _total);
            }
            for (int i = 0; i < _made.Length; i++)
            {
                (int first, int count) = Sources;
                Bind($"source_{i}", _made[i].AsMemory(first * SizeOf(i), count * SizeOf(i)), ShapeOf(i, count));
            }
            _binding.BindOutput(_engine._hidden, Hold(HiddenStates, Results.Length, _model.Width));
            _binding.BindOutput(_engine._logits, Hold(AllLogits, Results.Length, _model.Vocabulary));
            for (int i = 0; i < _caches.Length; i++)
            {
                KeptValue kept = _engine._graph.Cache[i];
                int length = kept.Heads * Places(kept) * kept.Width;
                OrtValue both = Hold(
                    _caches[i].AsMemory(slot * length, sequences * length),
                    kept.PerToken ? [sequences, kept.Heads, _capacity, kept.Width] : [sequences, kept.Width]);
                _binding.BindInput(kept.Past, both);
                _binding.BindOutput(kept.Present, both);
            }
        }

        private int Places(KeptValue kept) => kept.PerToken ? _capacity : 1;

        // A sequence that begins has no states; what attention has kept of another it does not see.
        private void Forget(int slot)
        {
            for (int i = 0; i < _caches.Length; i++)
            {
                if (_engine._graph.Cache[i] is { PerToken: false, Width: int width })
                    _caches[i].AsSpan(slot * width, width).Clear();
            }
        }

        private void Bind<T>(string name, Memory<T> values, params long[] shape)
            where T : unmanaged => _binding.BindInput(name, Hold(values, shape));

        private OrtValue Hold<T>(Memory<T> values, params long[] shape)
            where T : unmanaged
        {
            _bound.Add(Value(values, shape));
            return _bound[^1];
        }

        private static OrtValue Value<T>(Memory<T> values, params long[] shape)
            where T : unmanaged => OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, values, shape);

        private long[] ShapeOf(int value, int sources) => _engine._sources!.ShapeOf(value, sources, Room.Length);

        private int SizeOf(int value) => (int)ShapeOf(value, 1).Aggregate((product, n) => checked(product * n));

        private void Unbind()
        {
            _bound.ForEach(value => value.Dispose());
            _bound.Clear();
        }
    }
}

/// <summary>By torch, on a device or on the CPU.</summary>
internal sealed class TorchSequences(IForwardPass pass, HostWeights weights, Device device, SourceReader? sources)
    : TorchEngine(weights, device), ISequenceEngine
{
    public SequenceState Start(SequenceModel model, int sequences, int capacity, SourceRoom room) =>
        new State(this, model, new TorchCache(sequences, capacity), room);

    private void Run(
        TorchCache cache, int slot, int[] past, long[][] inputs, IEnumerable<Tensor> made, Memory<float>[] outputs) =>
        Compute(() =>
        {
            TorchTensor[] values = [.. inputs.Select(Index)];
            for (int i = 0; i < 2; i++)
                values[i] = values[i].Reshape(past.Length, -1);
            cache.Begin(slot, past);
            TorchTensor[] results = pass.Run(
                new TorchOps(Weights) { Cache = cache, States = cache }.Root, [.. values, .. made.Select(m => (TorchTensor)m)]);
            for (int i = 0; i < outputs.Length; i++)
                HostTensors.CopyTo(results[i], outputs[i].Span);
        });

    private Tensor[] RunSources(SourceRoom room, long[] tokens, long[] positions, float[] counts)
    {
        Tensor[] made = [];
        Compute(() => made =
        [
            .. sources!.Pass.Run(
                new TorchOps(Weights).Root,
                [
                    Index(tokens).Reshape(room.Sources, room.Length), Index(positions),
                    HostTensors.FromRows(counts, room.Sources, room.Length, Device),
                ]).Select(value => value.Value.contiguous().DetachFromDisposeScope()),
        ]);
        return made;
    }

    private TorchTensor Index(long[] numbers) => HostTensors.Index(numbers, Device);

    private sealed class State(TorchSequences engine, SequenceModel model, TorchCache cache, SourceRoom room)
        : SequenceState(model, room)
    {
        private Tensor[] _made = []; // of sources

        public override void Copy(int from, int to, int tokens) => cache.Copy(from, to, tokens);

        public override void CopySource(int from, int to) => engine.Compute(() =>
        {
            foreach (Tensor made in _made)
                made.narrow(0, to, 1).copy_(made.narrow(0, from, 1));
        });

        public override void Dispose()
        {
            cache.Dispose();
            Array.ForEach(_made, made => made.Dispose());
            base.Dispose();
        }

        protected override void Run()
        {
            int each = Tokens.Length / Range.Sequences;
            int[] past = [.. Enumerable.Range(0, Range.Sequences).Select(i => (int)Positions[i * each])];
            (int first, int count) = Sources;
            engine.Run(
                cache, Range.Slot, past, [Tokens, Positions, Results], _made.Select(made => made.narrow(0, first, count)),
                [HiddenStates, AllLogits]);
        }

        protected override void RunSources(long[] tokens, long[] positions, float[] counts)
        {
            Array.ForEach(_made, made => made.Dispose());
            _made = engine.RunSources(Room, tokens, positions, counts);
        }
    }
}
