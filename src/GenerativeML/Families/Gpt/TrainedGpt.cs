using System.Numerics.Tensors;
using Microsoft.ML.OnnxRuntime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// A trained GPT. On the CPU ONNX Runtime computes, without torch; on a CUDA device, and on the CPU where ONNX Runtime
/// is not there, torch does. The engine is chosen, and its form of the weights made, when it is first needed.
/// </summary>
/// <param name="network">The network.</param>
/// <param name="weights">Its weights; they have to stay as they are.</param>
/// <param name="device">Where to compute.</param>
/// <param name="fallbackToCpu">Whether the CPU may stand in for a CUDA device that is not there.</param>
internal sealed class TrainedGpt(
    GptNetwork network, HostWeights weights, ComputeDevice device = default, bool fallbackToCpu = false) : TokenModel
{
    // Products with smaller matrices gain nothing by a second thread: then texts share out the threads.
    private const long LargeParameterCount = 1 << 24;

    // A device wants many texts at once; each takes memory for keys and values.
    private const int MaxTexts = 64;
    private const long MaxCacheBytes = 1L << 29;

    private readonly Lock _gate = new();
    private GptEngine? _engine;
    private bool _disposed;

    /// <summary>The network.</summary>
    public GptNetwork Network => network;

    /// <summary>Its weights.</summary>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public HostWeights Weights
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return weights;
        }
    }

    /// <summary>The most threads that one call uses. Default: the processors.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    public override int VocabularySize => network.VocabularySize;

    public override int ContextLength => network.Options.ContextLength;

    public override int Width => network.Options.Width;

    public override int Decoders => IsLarge || device != ComputeDevice.Cpu ? 1 : Threads;

    private bool IsLarge => network.ParameterCount >= LargeParameterCount;

    public override void Dispose()
    {
        base.Dispose();
        lock (_gate)
        {
            if (!_disposed)
                _engine?.Dispose();
            _disposed = true;
        }
    }

    protected override int MaxSlots(int capacity)
    {
        long bytes = 2L * sizeof(float) * network.Options.Layers * network.Options.Width * capacity;
        return (int)Math.Clamp(MaxCacheBytes / Math.Max(1, bytes), 1, MaxTexts);
    }

    protected override ITokenDecoder NewDecoder(int slots, int capacity)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _engine ??= NativeParts.Choose<GptEngine>(
                device, fallbackToCpu, () => new OnnxGptEngine(network, weights, IsLarge ? Threads : 1),
                found => new TorchGptEngine(network, weights, found));
            return _engine.NewDecoder(slots, capacity);
        }
    }
}

/// <summary>What computes a GPT. It is there until its owner and every decoder have let it go.</summary>
internal abstract class GptEngine : IDisposable
{
    private int _users = 1;

    /// <summary>A decoder; it holds the engine until it is disposed.</summary>
    public ITokenDecoder NewDecoder(int slots, int capacity)
    {
        ITokenDecoder decoder = Create(slots, capacity);
        Interlocked.Increment(ref _users);
        return decoder;
    }

    /// <summary>Lets it go, once for the owner and once for each decoder.</summary>
    public void Dispose()
    {
        if (Interlocked.Decrement(ref _users) == 0)
            Free();
    }

    protected abstract ITokenDecoder Create(int slots, int capacity);

    protected abstract void Free();
}

/// <summary>
/// A GPT by ONNX Runtime: one graph for prompts, steps and scoring. Keys and values stay where they are, one buffer for
/// what was and what is; each slot has its part of it.
/// </summary>
internal sealed class OnnxGptEngine : GptEngine
{
    // Above it, weights are neither copied nor packed, for 1.3 times the time.
    private const long MaxPackedBytes = 1L << 30;

    private readonly GptNetwork _network;
    private readonly OnnxSession _session;
    private readonly OnnxGraph _graph;
    private readonly string _hidden, _logits;

    public OnnxGptEngine(GptNetwork network, HostWeights weights, int threads)
    {
        _network = network;
        _graph = new OnnxGraph(weights, cached: true);
        // All sequences' tokens, one after the other, (N); those of them whose results are wanted, (R).
        OnnxTensor tokens = _graph.Input("tokens", OnnxType.Int64, -1);
        OnnxTensor positions = _graph.Input("positions", OnnxType.Int64, -1);
        OnnxTensor results = _graph.Input("results", OnnxType.Int64, -1);
        OnnxTensor hidden = network.Hidden(_graph.Root, tokens, positions).Embed(results);
        _hidden = _graph.Output(hidden);
        _logits = _graph.Output(network.Logits(_graph.Root, hidden));
        _session = new OnnxSession(
            _graph, weights, threads, borrow: network.ParameterCount * sizeof(float) > MaxPackedBytes);
    }

    protected override ITokenDecoder Create(int slots, int capacity) => new Decoder(this, slots, capacity);

    protected override void Free() => _session.Dispose();

    private sealed class Decoder : ITokenDecoder
    {
        // Logits of many tokens would not fit into a cache where the vocabulary is large.
        private const int MaxLogits = 1 << 20;

        private readonly OnnxGptEngine _engine;
        private readonly int _capacity, _width, _vocabulary;
        private readonly OrtIoBinding _binding;
        private readonly float[][] _caches; // (slots, heads, capacity, head width) of keys and values of each layer
        private readonly List<OrtValue> _bound = [];
        private (int Slot, int Sequences, int Tokens, int Results) _form;
        private long[] _tokens = [], _positions = [], _results = [];
        private int[] _last = [];
        private float[] _hidden = [], _logits = [];
        private readonly int[] _total = [0];

        public Decoder(OnnxGptEngine engine, int slots, int capacity)
        {
            _engine = engine;
            _capacity = capacity;
            (_width, _vocabulary) = (engine._network.Options.Width, engine._network.VocabularySize);
            _binding = engine._session.Native.CreateIoBinding();
            _caches = [.. engine._graph.Cache.Select(_ => new float[slots * capacity * _width])];
        }

        public int MaxResults => Math.Max(16, MaxLogits / _vocabulary);

        public Span<float> Logits(int result) => _logits.AsSpan(result * _vocabulary, _vocabulary);

        public ReadOnlySpan<float> Hidden(int result) => _hidden.AsSpan(result * _width, _width);

        public void Read(int slot, int position, ReadOnlySpan<int> tokens, bool all)
        {
            Bind(slot, 1, tokens.Length, all ? tokens.Length : 1);
            for (int i = 0; i < tokens.Length; i++)
                (_tokens[i], _positions[i]) = (tokens[i], position + i);
            for (int i = 0; i < _results.Length; i++)
                _results[i] = tokens.Length - _results.Length + i;
            _last[0] = position + tokens.Length - 1;
            Run();
        }

        public void Read(ReadOnlySpan<int> tokens, ReadOnlySpan<int> positions)
        {
            Bind(0, tokens.Length, tokens.Length, tokens.Length);
            for (int i = 0; i < tokens.Length; i++)
                (_tokens[i], _positions[i], _results[i], _last[i]) = (tokens[i], positions[i], i, positions[i]);
            Run();
        }

        public void Copy(int from, int to, int tokens)
        {
            int slot = _capacity * _width, head = slot / _engine._network.Options.Heads;
            int length = tokens * (_width / _engine._network.Options.Heads);
            foreach (float[] cache in _caches)
            {
                for (int at = 0; at < slot; at += head)
                    cache.AsSpan(from * slot + at, length).CopyTo(cache.AsSpan(to * slot + at));
            }
        }

        public void Dispose()
        {
            _binding.Dispose();
            Unbind();
            _engine.Dispose();
        }

        private void Run()
        {
            _total[0] = _last.Max() + 1;
            _engine._session.Native.RunWithBinding(_engine._session.Options, _binding);
        }

        // From step to step, arrays and their names stay.
        private void Bind(int slot, int sequences, int tokens, int results)
        {
            if (_form == (slot, sequences, tokens, results))
                return;
            Unbind();
            _form = (slot, sequences, tokens, results);
            (_tokens, _positions, _results) = (new long[tokens], new long[tokens], new long[results]);
            _last = new int[sequences];
            if (_logits.Length < results * _vocabulary)
                (_hidden, _logits) = (new float[results * _width], new float[results * _vocabulary]);
            _binding.BindInput("tokens", Hold<long>(_tokens, tokens));
            _binding.BindInput("positions", Hold<long>(_positions, tokens));
            _binding.BindInput("results", Hold<long>(_results, results));
            _binding.BindInput("last", Hold<int>(_last, sequences));
            _binding.BindInput("total", Hold<int>(_total));
            _binding.BindOutput(_engine._hidden, Hold<float>(_hidden.AsMemory(0, results * _width), results, _width));
            _binding.BindOutput(
                _engine._logits, Hold<float>(_logits.AsMemory(0, results * _vocabulary), results, _vocabulary));
            int length = _capacity * _width;
            foreach (((string past, string present, int heads, int width), float[] cache) in
                _engine._graph.Cache.Zip(_caches))
            {
                OrtValue both = Hold(
                    cache.AsMemory(slot * length, sequences * length), sequences, heads, _capacity, width);
                _binding.BindInput(past, both);
                _binding.BindOutput(present, both);
            }
        }

        private OrtValue Hold<T>(Memory<T> values, params long[] shape)
            where T : unmanaged
        {
            OrtValue value = OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, values, shape);
            _bound.Add(value);
            return value;
        }

        private void Unbind()
        {
            _bound.ForEach(value => value.Dispose());
            _bound.Clear();
        }
    }
}

/// <summary>A GPT by torch, on a device or on the CPU.</summary>
internal sealed class TorchGptEngine(GptNetwork network, HostWeights weights, torch.Device device) : GptEngine
{
    private readonly Dictionary<string, torch.Tensor> _weights = weights.ToTensors(device);

    // A device computes one call at a time.
    private readonly Lock? _gate = device.type == DeviceType.CPU ? null : new Lock();

    protected override ITokenDecoder Create(int slots, int capacity) => new Decoder(this, slots, capacity);

    protected override void Free()
    {
        foreach (torch.Tensor weight in _weights.Values)
            weight.Dispose();
    }

    private GptNetwork Network => network;

    private torch.Device Device => device;

    private sealed class Decoder : ITokenDecoder
    {
        private readonly TorchGptEngine _engine;
        private readonly CachedOps _ops;
        private readonly int _width, _vocabulary;
        private float[] _hidden = [], _logits = [];

        public Decoder(TorchGptEngine engine, int slots, int capacity)
        {
            _engine = engine;
            _ops = new CachedOps(engine._weights, slots, capacity, engine.Device);
            (_width, _vocabulary) = (engine.Network.Options.Width, engine.Network.VocabularySize);
        }

        public int MaxResults => 256;

        public Span<float> Logits(int result) => _logits.AsSpan(result * _vocabulary, _vocabulary);

        public ReadOnlySpan<float> Hidden(int result) => _hidden.AsSpan(result * _width, _width);

        public void Read(int slot, int position, ReadOnlySpan<int> tokens, bool all) => Run(
            slot, 1, tokens, [.. Enumerable.Range(position, tokens.Length)], all ? tokens.Length : 1);

        public void Read(ReadOnlySpan<int> tokens, ReadOnlySpan<int> positions) =>
            Run(0, tokens.Length, tokens, positions, tokens.Length);

        public void Copy(int from, int to, int tokens) => _ops.Copy(from, to, tokens);

        public void Dispose()
        {
            _ops.Dispose();
            _engine.Dispose();
        }

        private void Run(int slot, int sequences, ReadOnlySpan<int> tokens, ReadOnlySpan<int> positions, int results)
        {
            _engine._gate?.Enter();
            try
            {
                using DisposeScope scope = torch.NewDisposeScope();
                using IDisposable noGradient = torch.no_grad();
                torch.Tensor at = Index(positions).view(sequences, -1);
                _ops.Begin(slot, at, TensorPrimitives.Max(positions) + 1);
                TorchTensor hidden = _engine.Network.Hidden(_ops.Root, (TorchTensor)Index(tokens).view(sequences, -1), at);
                hidden = hidden.Value.view(-1, _width).narrow(0, tokens.Length - results, results);
                if (_logits.Length < results * _vocabulary)
                    (_hidden, _logits) = (new float[results * _width], new float[results * _vocabulary]);
                HostTensors.CopyTo(hidden, _hidden);
                HostTensors.CopyTo(_engine.Network.Logits(_ops.Root, hidden), _logits);
            }
            finally
            {
                _engine._gate?.Exit();
            }
        }

        private torch.Tensor Index(ReadOnlySpan<int> numbers) =>
            HostTensors.Index([.. numbers.ToArray().Select(n => (long)n)], _engine.Device);
    }

    /// <summary>The network's operations with a memory of keys and values, (slots, heads, capacity, width) each.</summary>
    private sealed class CachedOps(
        IReadOnlyDictionary<string, torch.Tensor> weights, int slots, int capacity, torch.Device device)
        : TorchOps(weights), IDisposable
    {
        private readonly Dictionary<string, (torch.Tensor Keys, torch.Tensor Values)> _layers = [];
        private torch.Tensor _positions = null!, _mask = null!;
        private int _slot, _seen;

        /// <summary>The next run is of slots from the first on, tokens at these positions, (B, T).</summary>
        public void Begin(int slot, torch.Tensor positions, int seen)
        {
            (_slot, _positions, _seen) = (slot, positions, seen);
            _mask = torch.arange(seen, device: device).le(positions.view(positions.size(0), 1, -1, 1));
        }

        public override TorchTensor Attention(
            TorchTensor queryKeyValue, int heads, int width, string layer, double dropout)
        {
            torch.Tensor all = queryKeyValue.Value;
            (long sequences, long length) = (all.size(0), all.size(1));
            torch.Tensor parts = all.view(sequences, length, 3, heads, width).permute(2, 0, 3, 1, 4);
            if (!_layers.TryGetValue(layer, out (torch.Tensor Keys, torch.Tensor Values) memory))
                _layers[layer] = memory = (New(heads, width), New(heads, width));
            torch.Tensor mixed = torch.nn.functional.scaled_dot_product_attention(
                parts[0], Extend(memory.Keys, parts[1]), Extend(memory.Values, parts[2]), _mask);
            return mixed.transpose(1, 2).reshape(sequences, length, heads * width);
        }

        public void Copy(int from, int to, int tokens)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            using IDisposable noGradient = torch.no_grad();
            foreach (torch.Tensor memory in _layers.Values.SelectMany(m => (torch.Tensor[])[m.Keys, m.Values]))
                memory.narrow(0, to, 1).narrow(2, 0, tokens).copy_(memory.narrow(0, from, 1).narrow(2, 0, tokens));
        }

        public void Dispose()
        {
            foreach ((torch.Tensor keys, torch.Tensor values) in _layers.Values)
            {
                keys.Dispose();
                values.Dispose();
            }
        }

        private torch.Tensor New(int heads, int width) =>
            torch.zeros([slots, heads, capacity, width], device: device).DetachFromDisposeScope();

        // Stores what is new, (B, heads, T, width), and gives all that is seen.
        private torch.Tensor Extend(torch.Tensor memory, torch.Tensor added)
        {
            torch.Tensor part = memory.narrow(0, _slot, added.size(0));
            part.scatter_(2, _positions.view(added.size(0), 1, -1, 1).expand(added.shape), added);
            return part.narrow(2, 0, _seen);
        }
    }
}
