namespace GenerativeML;

/// <summary>
/// Dense layers one after the other, each with its non-linearity, laid out for computing. A row gets the same bits alone
/// and among others.
/// </summary>
internal sealed class DenseStack
{
    private readonly Layer[] _layers;

    /// <param name="layers">From the input on; layers with nothing between them are joined where that is less work.</param>
    public DenseStack(IEnumerable<(AffineLayer Layer, Activation Activation)> layers)
    {
        var joined = new List<(AffineLayer Layer, Activation Activation)>();
        foreach ((AffineLayer layer, Activation activation) in layers)
        {
            if (joined.Count > 0 && joined[^1].Activation == Activation.Identity
                && joined[^1].Layer.IsCheaperJoined(layer))
                joined[^1] = (joined[^1].Layer.Join(layer), activation);
            else
                joined.Add((layer, activation));
        }
        _layers = [.. joined.Select(l => new Layer(l.Layer, l.Activation))];
        Width = _layers.Max(l => l.Weights.PaddedOutputs);
        Stride = _layers[^1].Weights.PaddedOutputs;
        MultiplyAdds = _layers.Sum(l => (long)l.Weights.PaddedOutputs * l.Weights.Inputs);
    }

    /// <summary>From one row of results to the next; what lies behind a row's outputs is of no meaning.</summary>
    public int Stride { get; }

    /// <summary>Numbers for each row that each of the two buffers of <see cref="Apply"/> needs.</summary>
    public int Width { get; }

    /// <summary>What a row costs.</summary>
    public long MultiplyAdds { get; }

    /// <summary>Computes rows.</summary>
    /// <param name="x">(rows × <paramref name="xStride"/>), of which the first columns are the inputs.</param>
    /// <param name="xStride">From one row of x to the next.</param>
    /// <param name="rows">How many.</param>
    /// <param name="first">(rows × <see cref="Width"/>).</param>
    /// <param name="second">(rows × <see cref="Width"/>).</param>
    /// <returns>The results (rows × <see cref="Stride"/>), which lie in one of the buffers.</returns>
    public Span<float> Apply(ReadOnlySpan<float> x, int xStride, int rows, Span<float> first, Span<float> second)
    {
        Span<float> result = [];
        foreach (Layer layer in _layers)
        {
            Span<float> y = first[..(rows * layer.Weights.PaddedOutputs)];
            layer.Weights.Multiply(x, xStride, rows, y);
            VectorActivation.Apply(layer.Activation, y, layer.Bias);
            x = result = y;
            xStride = layer.Weights.PaddedOutputs;
            Span<float> free = second;
            second = first;
            first = free;
        }
        return result;
    }

    private sealed class Layer
    {
        public Layer(AffineLayer layer, Activation activation)
        {
            Activation = activation;
            Weights = new PackedWeights(layer.Weights, layer.Outputs);
            Bias = new float[Weights.PaddedOutputs];
            layer.Bias.CopyTo(Bias, 0);
        }

        public PackedWeights Weights { get; }

        public float[] Bias { get; } // (padded outputs)

        public Activation Activation { get; }
    }
}
