namespace GenerativeML;

/// <summary>What computes rows by one forward pass, from several threads.</summary>
internal interface IRowEngine : IDisposable
{
    /// <summary>Computes rows; of each input and output (rows × width), one after the other.</summary>
    void Run(int rows, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs);
}

/// <summary>
/// What computes with a model's weights, pass by pass: on the CPU ONNX Runtime, where a row gets the same bits alone and
/// among others; on a CUDA device, and on the CPU without ONNX Runtime's native part, torch. It is made when it is first
/// needed, and again after it was disposed. Where there is a backbone, passes are given its features in the place of the first
/// input. Safe to use from several threads.
/// </summary>
internal sealed class InferenceCache(
    HostWeights weights, ComputeDevice device, bool fallbackToCpu, BackbonePart? backbone = null) : IDisposable
{
    private readonly ReaderWriterLockSlim _lock = new();
    private readonly Dictionary<string, IRowEngine> _engines = [];
    private volatile HostWeights _weights = weights;

    /// <summary>
    /// What is computed with, from the next row on when they are set. Their elements have to stay as they are until
    /// <see cref="Dispose"/>.
    /// </summary>
    public HostWeights Weights
    {
        get => _weights;
        set => Clear(value);
    }

    /// <summary>
    /// Computes a pass over rows; the key says which it is, and how wide inputs are. What takes gradients torch alone
    /// can compute.
    /// </summary>
    /// <exception cref="InvalidOperationException">Neither engine can be used.</exception>
    public void Run(
        string key, Func<IForwardPass> pass, int rows, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs,
        bool requiresTorch = false)
    {
        if (rows == 0)
            return;
        using IDisposable running = RunningComputations.Enter();
        // Another thread may let go of an engine before this one comes to use what it added.
        while (true)
        {
            _lock.EnterReadLock();
            try
            {
                if (_engines.TryGetValue(key, out IRowEngine? engine))
                {
                    engine.Run(rows, inputs, outputs);
                    return;
                }
            }
            finally
            {
                _lock.ExitReadLock();
            }
            Add(key, pass, rows, inputs, requiresTorch);
        }
    }

    /// <summary>Computes a pass that is not needed again.</summary>
    public void RunOnce(IForwardPass pass, int rows, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs)
    {
        if (rows == 0)
            return;
        using IDisposable running = RunningComputations.Enter();
        using IRowEngine engine = Create(pass, rows, inputs, requiresTorch: false);
        engine.Run(rows, inputs, outputs);
    }

    /// <summary>Lets go of all that computes; what is asked for later is made again.</summary>
    public void Dispose() => Clear(replacement: null);

    private void Clear(HostWeights? replacement)
    {
        _lock.EnterWriteLock();
        try
        {
            foreach (IRowEngine engine in _engines.Values)
                engine.Dispose();
            _engines.Clear();
            _weights = replacement ?? _weights;
        }
        finally
        {
            _lock.ExitWriteLock();
        }
    }

    // By itself: what its lambdas capture would be allocated for every single row.
    private void Add(
        string key, Func<IForwardPass> pass, int rows, ReadOnlyMemory<float>[] inputs, bool requiresTorch)
    {
        _lock.EnterWriteLock();
        try
        {
            if (!_engines.ContainsKey(key))
                _engines[key] = Create(pass(), rows, inputs, requiresTorch);
        }
        finally
        {
            _lock.ExitWriteLock();
        }
    }

    private IRowEngine Create(
        IForwardPass pass, int rows, ReadOnlyMemory<float>[] inputs, bool requiresTorch)
    {
        HostWeights used = _weights;
        BackboneSession? before = backbone?.Open(used);
        try
        {
            int[] widths = [.. inputs.Select((input, i) => i == 0 && backbone is not null ? backbone.FeatureWidth : input.Length / rows)];
            IRowEngine engine = NativeParts.Choose<IRowEngine>(
                device, fallbackToCpu, () => new OnnxRows(pass, used, widths), place => new TorchRows(pass, used, place), requiresTorch);
            return before is null ? engine : new BackboneRows(before, backbone!, engine);
        }
        catch
        {
            before?.Dispose();
            throw;
        }
    }
}
