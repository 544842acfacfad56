namespace GenerativeML;

/// <summary>An input of a forward pass.</summary>
/// <param name="Name">The name, for messages.</param>
/// <param name="IsIndex">Whether it has whole numbers, Int64; otherwise Single.</param>
/// <param name="RowShape">The shape of a row; one size may be −1, which then follows from the data.</param>
internal sealed record PassInput(string Name, bool IsIndex, params long[] RowShape)
{
    /// <summary>An input of Single, (rows, …).</summary>
    public static PassInput Singles(string name, params long[] rowShape) => new(name, false, rowShape);

    /// <summary>An input of Int64, (rows, …).</summary>
    public static PassInput Indices(string name, params long[] rowShape) => new(name, true, rowShape);

    /// <summary>Whether so many numbers can be a row.</summary>
    public bool Fits(long width)
    {
        long known = 1;
        bool open = false;
        foreach (long size in RowShape)
            (known, open) = size < 0 ? (known, true) : (known * size, open);
        return open ? width % known == 0 : width == known;
    }
}

/// <summary>The data of an input: rows of Single, or of Int64.</summary>
internal readonly record struct InputRows(ReadOnlyMemory<float> Singles, ReadOnlyMemory<long> Indices)
{
    /// <summary>Rows of Single.</summary>
    public static implicit operator InputRows(ReadOnlyMemory<float> values) => new(values, default);

    /// <summary>Rows of Single.</summary>
    public static implicit operator InputRows(Memory<float> values) => new(values, default);

    /// <summary>Rows of Single.</summary>
    public static implicit operator InputRows(float[] values) => new(values, default);

    /// <summary>Rows of Int64.</summary>
    public static implicit operator InputRows(ReadOnlyMemory<long> values) => new(default, values);

    /// <summary>Rows of Int64.</summary>
    public static implicit operator InputRows(long[] values) => new(default, values);

    /// <summary>Numbers of all rows together.</summary>
    public int Length => Singles.Length + Indices.Length;
}

/// <summary>What computes rows.</summary>
internal interface IRowEngine : IDisposable
{
    /// <summary>See <see cref="InferenceModel.Run"/>.</summary>
    void Run(int rows, InputRows[] inputs, Memory<float>[] outputs, int threads);
}

/// <summary>
/// A trained network's forward pass, to be run from several threads: on the CPU by ONNX Runtime, where a row gets the
/// same bits alone and among others; on a CUDA device, and on the CPU without ONNX Runtime's native part, by torch.
/// The engine is chosen, and its form of the weights made, at the first run.
/// </summary>
/// <param name="pass">The forward pass.</param>
/// <param name="inputs">Its inputs, in order.</param>
/// <param name="weights">The weights; they have to stay as they are.</param>
/// <param name="device">Where to compute.</param>
/// <param name="fallbackToCpu">Whether the CPU may stand in for a CUDA device that is not there.</param>
/// <param name="requiresTorch">Whether torch alone can run the pass, as where it needs gradients.</param>
internal sealed class InferenceModel(
    IForwardPass pass, IReadOnlyList<PassInput> inputs, HostWeights weights, ComputeDevice device = default,
    bool fallbackToCpu = false, bool requiresTorch = false) : IDisposable
{
    private readonly Lazy<IRowEngine> _engine = new(() => NativeParts.Choose<IRowEngine>(
        device, fallbackToCpu, () => new OnnxRows(pass, inputs, weights),
        place => new TorchRows(pass, inputs, weights, place), requiresTorch));

    private volatile bool _disposed;

    /// <summary>Computes rows.</summary>
    /// <param name="rows">How many.</param>
    /// <param name="data">Each input's rows, one after the other.</param>
    /// <param name="outputs">
    /// Where each output's rows are written, as many numbers as there are; empty for one that is not wanted, which then
    /// costs nothing.
    /// </param>
    /// <param name="threads">The most threads; many rows are needed for more than one to be used.</param>
    /// <exception cref="ArgumentException">An input has another number of numbers.</exception>
    /// <exception cref="InvalidOperationException">Neither engine can be used.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public void Run(int rows, InputRows[] data, Memory<float>[] outputs, int threads = 1)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (rows == 0)
            return;
        for (int i = 0; i < inputs.Count; i++)
        {
            (int width, int rest) = Math.DivRem(data[i].Length, rows);
            if (rest != 0 || !inputs[i].Fits(width))
                throw new ArgumentException(
                    $"{rows} rows of '{inputs[i].Name}' of {TensorSpec.Describe(inputs[i].RowShape)} each are not " +
                    $"{data[i].Length} numbers.", nameof(data));
        }
        _engine.Value.Run(rows, data, outputs, threads);
    }

    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        if (_engine.IsValueCreated)
            _engine.Value.Dispose();
    }
}
