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
/// large networks; borrowed weights ONNX Runtime uses in place, see <see cref="OnnxSession"/>.
/// </remarks>
internal sealed class SequenceModel(
    IForwardPass pass, HostWeights weights, int width, int vocabulary, ComputeDevice device = default,
    bool fallbackToCpu = false, int threads = 1, bool borrow = false) : IDisposable
{
    private readonly Lock _gate = new();
    private ISequenceEngine? _engine;
    private int _states;
    private bool _disposed;

    /// <summary>Features of a hidden state, C.</summary>
    public int Width => width;

    /// <summary>Tokens that there are, V.</summary>
    public int Vocabulary => vocabulary;

    /// <summary>Makes room for sequences of at most so many tokens.</summary>
    /// <exception cref="InvalidOperationException">Neither engine can be used.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public SequenceState Start(int sequences, int capacity)
    {
        using IDisposable running = RunningComputations.Enter();
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _engine ??= NativeParts.Choose<ISequenceEngine>(
                device, fallbackToCpu, () => new OnnxSequences(pass, weights, threads, borrow),
                place => new TorchSequences(pass, weights, place));
            SequenceState state = _engine.Start(this, sequences, capacity);
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
    /// <summary>Makes room for sequences.</summary>
    SequenceState Start(SequenceModel model, int sequences, int capacity);
}

/// <summary>
/// Sequences in progress, with the keys and values of their tokens, or their states, and the results of the last run. Each has a slot,
/// which remembers its earlier tokens. Used by one thread at a time.
/// </summary>
internal abstract class SequenceState(SequenceModel model) : IDisposable
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

    /// <summary>A result's logits of the token that follows, (V). May be written to.</summary>
    public Span<float> Logits(int result) => _logits.AsSpan(result * model.Vocabulary, model.Vocabulary);

    /// <summary>A result's final hidden state, (C).</summary>
    public ReadOnlySpan<float> Hidden(int result) => _hidden.AsSpan(result * model.Width, model.Width);

    /// <summary>Gives a slot what another one remembers of its first tokens.</summary>
    public abstract void Copy(int from, int to, int tokens);

    public virtual void Dispose() => model.End();

    /// <summary>The slots of the run: the first, and how many.</summary>
    protected (int Slot, int Sequences) Range { get; private set; }

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

    /// <summary>Makes the session.</summary>
    public OnnxSequences(IForwardPass pass, HostWeights weights, int threads, bool borrow)
    {
        _graph = new OnnxGraph(weights, cached: true);
        OnnxTensor[] results = pass.Run(
            _graph.Root,
            [
                _graph.Input("tokens", OnnxType.Int64, -1), _graph.Input("positions", OnnxType.Int64, -1),
                _graph.Input("results", OnnxType.Int64, -1),
            ]);
        (_hidden, _logits) = (_graph.Output(results[0]), _graph.Output(results[1]));
        _session = new OnnxSession(_graph, weights, threads, borrow);
    }

    public SequenceState Start(SequenceModel model, int sequences, int capacity) =>
        new State(this, model, sequences, capacity);

    public void Dispose() => _session.Dispose();

    private sealed class State : SequenceState
    {
        private readonly OnnxSequences _engine;
        private readonly SequenceModel _model;
        private readonly int _capacity;
        private readonly OrtIoBinding _binding;
        private readonly float[][] _caches; // (sequences, heads, capacity, head width) or (sequences, width) each
        private readonly List<OrtValue> _bound = [];
        private readonly int[] _total = [0];
        private int[] _last = [];

        public State(OnnxSequences engine, SequenceModel model, int sequences, int capacity)
            : base(model)
        {
            (_engine, _model, _capacity) = (engine, model, capacity);
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

        public override void Dispose()
        {
            _binding.Dispose();
            Unbind();
            base.Dispose();
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
            _bound.Add(OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, values, shape));
            return _bound[^1];
        }

        private void Unbind()
        {
            _bound.ForEach(value => value.Dispose());
            _bound.Clear();
        }
    }
}

/// <summary>By torch, on a device or on the CPU.</summary>
internal sealed class TorchSequences(IForwardPass pass, HostWeights weights, Device device)
    : TorchEngine(weights, device), ISequenceEngine
{
    public SequenceState Start(SequenceModel model, int sequences, int capacity) =>
        new State(this, model, new TorchCache(sequences, capacity));

    private void Run(TorchCache cache, int slot, int[] past, long[][] inputs, Memory<float>[] outputs) => Compute(() =>
    {
        TorchTensor[] values = [.. inputs.Select(input => new TorchTensor(HostTensors.Index(input, Device)))];
        for (int i = 0; i < 2; i++)
            values[i] = values[i].Reshape(past.Length, -1);
        cache.Begin(slot, past);
        TorchTensor[] results = pass.Run(new TorchOps(Weights) { Cache = cache, States = cache }.Root, values);
        for (int i = 0; i < outputs.Length; i++)
            HostTensors.CopyTo(results[i], outputs[i].Span);
    });

    private sealed class State(TorchSequences engine, SequenceModel model, TorchCache cache) : SequenceState(model)
    {
        public override void Copy(int from, int to, int tokens) => cache.Copy(from, to, tokens);

        public override void Dispose()
        {
            cache.Dispose();
            base.Dispose();
        }

        protected override void Run()
        {
            int each = Tokens.Length / Range.Sequences;
            int[] past = [.. Enumerable.Range(0, Range.Sequences).Select(i => (int)Positions[i * each])];
            engine.Run(cache, Range.Slot, past, [Tokens, Positions, Results], [HiddenStates, AllLogits]);
        }
    }
}
