namespace GenerativeML;

/// <summary>
/// A trained autoencoder: scores, explains, encodes and reconstructs rows. On the CPU it does so in managed code, without
/// torch; on a CUDA device by the networks that were trained. Safe to use from several threads.
/// </summary>
internal sealed class TrainedAutoencoder : IDisposable
{
    private readonly DeviceAutoencoder? _device;
    private volatile Held? _held;

    /// <param name="shape">What the networks look like.</param>
    /// <param name="weights">The tensors of <see cref="AutoencoderShape.Tensors"/>, taken over.</param>
    /// <param name="threshold">See <see cref="Threshold"/>.</param>
    /// <param name="device">The same on a device, to compute there; null to compute on the CPU.</param>
    public TrainedAutoencoder(
        AutoencoderShape shape, HostWeights weights, float threshold, DeviceAutoencoder? device = null)
    {
        (Shape, Threshold, _device) = (shape, threshold, device);
        _held = new(weights, new AutoencoderScorer(shape, weights));
    }

    /// <summary>Everything needed to build the networks again.</summary>
    public AutoencoderShape Shape { get; }

    /// <summary>Slots of a row, D.</summary>
    public int InputWidth => Shape.InputWidth;

    /// <summary>Slots of a code.</summary>
    public int LatentDimension => Shape.LatentDimension;

    /// <summary>Rows with a higher score than this are predicted to be anomalies.</summary>
    public float Threshold { get; }

    /// <summary>The most threads that one call uses. They do not change results. Default: the processors.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>Computes what is asked for of rows in the units of the data.</summary>
    /// <param name="rows">(count × D), finite.</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="wanted">Where the results go.</param>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public void Compute(ReadOnlyMemory<float> rows, int count, AutoencoderOutputs wanted)
    {
        AutoencoderScorer scorer = Now.Scorer;
        if (_device is null)
            scorer.Compute(rows, count, wanted, Threads);
        else
            _device.Compute(rows.Span, count, wanted);
    }

    /// <summary>Writes all tensors of the model as safetensors.</summary>
    public void Save(Stream stream) => Now.Weights.Save(stream);

    /// <summary>Writes the networks' weights as safetensors, named and shaped as PyTorch's own layers have them.</summary>
    public void ExportWeights(Stream stream) => Now.Weights.Select(Exported).Save(stream);

    /// <summary>Takes the networks' weights from such a file; all else stays.</summary>
    /// <exception cref="FormatException">
    /// The file does not hold exactly the weights of networks of this shape.
    /// </exception>
    public void ImportWeights(Stream stream)
    {
        HostWeights weights = Now.Weights;
        weights = weights.With(HostWeights.Load(stream, [.. weights.Select(Exported).Specs]), Exported);
        _device?.Take(weights);
        _held = new(weights, new AutoencoderScorer(Shape, weights));
    }

    /// <summary>Reads the tensors of a model of a shape.</summary>
    /// <param name="shape">The shape.</param>
    /// <param name="threshold">See <see cref="Threshold"/>.</param>
    /// <param name="weights">A safetensors file.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="fallbackToCpu">Whether the CPU may stand in for a CUDA device that is not there.</param>
    /// <exception cref="FormatException">
    /// The shape is out of range, or the file does not hold exactly its tensors.
    /// </exception>
    /// <exception cref="InvalidOperationException">The CUDA device, or torch for it, is not there.</exception>
    public static TrainedAutoencoder Load(
        AutoencoderShape shape, float threshold, Stream weights, ComputeDevice device = default,
        bool fallbackToCpu = false)
    {
        shape.Check();
        HostWeights read = HostWeights.Load(weights, [.. shape.Tensors()]);
        // Apart from torch: on the CPU, not even its types are looked for.
        return new(
            shape, read, threshold,
            device == ComputeDevice.Cpu ? null : DeviceAutoencoder.On(device, fallbackToCpu, shape, read));
    }

    /// <summary>Lets go of the weights. A second call does nothing.</summary>
    public void Dispose()
    {
        _held = null;
        _device?.Dispose();
    }

    private Held Now => _held ?? throw new ObjectDisposedException(nameof(TrainedAutoencoder));

    /// <summary>
    /// What PyTorch calls a tensor of the networks: a weight is (outputs, inputs), anything else (width). Several
    /// members are stacked along a first dimension, as torch.func.stack_module_state does.
    /// </summary>
    private TensorSpec? Exported(TensorSpec spec)
    {
        const string prefix = "network.";
        if (!spec.Name.StartsWith(prefix, StringComparison.Ordinal))
            return null;
        long[] shape = spec.Shape.ToArray(); // (members, outputs, inputs) or (members, 1, width)
        string name = spec.Name[prefix.Length..];
        bool isMatrix = name.EndsWith(".weight", StringComparison.Ordinal)
            && !name.Contains("_norm.", StringComparison.Ordinal);
        IEnumerable<long> kept = isMatrix ? shape : [shape[0], shape[2]];
        return new(name, spec.Type, [.. Shape.Members == 1 ? kept.Skip(1) : kept]);
    }

    private sealed record Held(HostWeights Weights, AutoencoderScorer Scorer);
}
