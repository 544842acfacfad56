namespace GenerativeML;

/// <summary>
/// What computes with a model's weights, pass by pass: made when it is first needed, and again after it was disposed.
/// </summary>
internal sealed class InferenceCache(ComputeDevice device, bool fallbackToCpu) : IDisposable
{
    private readonly ReaderWriterLockSlim _lock = new();
    private readonly Dictionary<string, InferenceModel> _models = [];

    /// <summary>Where to compute.</summary>
    public ComputeDevice Device => device;

    /// <summary>Whether the CPU may stand in for a CUDA device that is not there.</summary>
    public bool FallbackToCpu => fallbackToCpu;

    /// <summary>Computes a pass over rows.</summary>
    /// <param name="key">Which pass it is.</param>
    /// <param name="pass">Makes the pass, the first time.</param>
    /// <param name="inputs">Its inputs.</param>
    /// <param name="weights">The model's tensors.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="values">Of each input, (rows × width).</param>
    /// <param name="results">Where each output goes, (rows × width).</param>
    /// <param name="requiresTorch">Whether torch alone can compute it.</param>
    public void Run(
        string key, Func<IForwardPass> pass, IReadOnlyList<PassInput> inputs, HostWeights weights, int rows,
        InputRows[] values, Memory<float>[] results, bool requiresTorch = false)
    {
        while (true)
        {
            _lock.EnterReadLock();
            try
            {
                if (_models.TryGetValue(key, out InferenceModel? model))
                {
                    model.Run(rows, values, results, Environment.ProcessorCount);
                    return;
                }
            }
            finally
            {
                _lock.ExitReadLock();
            }
            Build(key, pass, inputs, weights, requiresTorch);
        }
    }

    /// <summary>Lets go of all that computes; what is asked for later is made again.</summary>
    public void Dispose()
    {
        _lock.EnterWriteLock();
        try
        {
            foreach (InferenceModel model in _models.Values)
                model.Dispose();
            _models.Clear();
        }
        finally
        {
            _lock.ExitWriteLock();
        }
    }

    private void Build(
        string key, Func<IForwardPass> pass, IReadOnlyList<PassInput> inputs, HostWeights weights, bool requiresTorch)
    {
        _lock.EnterWriteLock();
        try
        {
            if (!_models.ContainsKey(key))
                _models[key] = new InferenceModel(pass(), inputs, weights, device, fallbackToCpu, requiresTorch);
        }
        finally
        {
            _lock.ExitWriteLock();
        }
    }
}
