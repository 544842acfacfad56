namespace GenerativeML;

/// <summary>
/// A trained VAE: scores, encodes, reconstructs and generates rows. On the CPU it does so in managed code, without torch;
/// on a CUDA device it computes given rows by the networks that were trained. Safe to use from several threads.
/// </summary>
internal sealed class TrainedVae : IVectorGenerator, IDisposable
{
    private readonly DeviceVae? _device;
    private volatile Held? _held;

    /// <param name="shape">What the networks look like.</param>
    /// <param name="weights">The tensors of <see cref="VaeShape.Tensors"/>, taken over.</param>
    /// <param name="threshold">See <see cref="Threshold"/>.</param>
    /// <param name="device">The same on a device, to compute there; null to compute on the CPU.</param>
    public TrainedVae(VaeShape shape, HostWeights weights, float threshold, DeviceVae? device = null)
    {
        (Shape, Threshold, _device) = (shape, threshold, device);
        _held = new(weights, new VaeScorer(shape, weights));
    }

    /// <summary>Everything needed to build the networks again.</summary>
    public VaeShape Shape { get; }

    /// <summary>Rows with a higher score than this are predicted to be anomalies.</summary>
    public float Threshold { get; }

    /// <summary>The most threads that one call uses. They do not change results. Default: the processors.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <inheritdoc/>
    public int InputWidth => Shape.InputWidth;

    /// <inheritdoc/>
    public IReadOnlyList<int> ConditionWidths => Shape.ConditionWidths;

    /// <summary>Computes what is asked for of rows in the units of the data.</summary>
    /// <param name="block">Its fields are those of training; all values are finite.</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="wanted">Where the results go.</param>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public void Compute(RowBlock block, int count, VaeOutputs wanted)
    {
        VaeScorer scorer = Now.Scorer;
        if (_device is null)
            scorer.Compute(block, count, wanted, Threads);
        else
            _device.Compute(block, count, wanted);
    }

    /// <inheritdoc/>
    public float[] ConditionMeans() => [.. Now.Weights["conditions.mean"]];

    /// <inheritdoc/>
    /// <remarks>
    /// Codes are drawn from the prior, rows from what the decoder gives for code and condition: in managed code, so that
    /// a seed gives the same rows whatever the device.
    /// </remarks>
    public void Generate(
        Memory<float> rows, Memory<float> conditions, int count, ulong seed, ReadOnlySpan<float> where)
    {
        Held now = Now;
        ConditionDraws.Draw(now.Weights["conditions.rows"], Shape.ConditionWidth, conditions.Span, count, seed, where);
        // Another seed, for the numbers that drew the conditions were the first of this one.
        now.Scorer.Generate(rows, conditions, count, ~seed, Threads);
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
        _held = new(weights, new VaeScorer(Shape, weights));
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
    public static TrainedVae Load(
        VaeShape shape, float threshold, Stream weights, ComputeDevice device = default, bool fallbackToCpu = false)
    {
        shape.Check();
        HostWeights read = HostWeights.Load(weights, [.. shape.Tensors()]);
        // Apart from torch: on the CPU, not even its types are looked for.
        return new(
            shape, read, threshold,
            device == ComputeDevice.Cpu ? null : DeviceVae.On(device, fallbackToCpu, shape, read));
    }

    /// <summary>Lets go of the weights. A second call does nothing.</summary>
    public void Dispose()
    {
        _held = null;
        _device?.Dispose();
    }

    private Held Now => _held ?? throw new ObjectDisposedException(nameof(TrainedVae));

    private static TensorSpec? Exported(TensorSpec spec)
    {
        const string prefix = "network.";
        return spec.Name.StartsWith(prefix, StringComparison.Ordinal)
            ? new(spec.Name[prefix.Length..], spec.Type, spec.Shape)
            : null;
    }

    private sealed record Held(HostWeights Weights, VaeScorer Scorer);
}
