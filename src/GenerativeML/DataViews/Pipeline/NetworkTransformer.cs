
namespace GenerativeML;

/// <summary>A transformer whose networks' weights can be exchanged with PyTorch.</summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public abstract class NetworkTransformer : GenerativeTransformer
{
    private protected NetworkTransformer(IBatchModel model)
        : base(model)
    {
    }

    /// <summary>
    /// Writes the networks' weights as a safetensors file, named and shaped as PyTorch's own layers have them: the
    /// <c>weight</c> of a dense layer is (outputs, inputs).
    /// </summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    /// <exception cref="ObjectDisposedException">The transformer has been disposed.</exception>
    public void SaveWeights(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        AtomicFile.Write(path, ExportWeights);
    }

    /// <summary>
    /// Takes the networks' weights from a file such as <see cref="SaveWeights"/> writes. All else that was learned, such
    /// as the scale of the inputs and a threshold, stays.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <exception cref="FormatException">
    /// The file is damaged, or does not hold exactly the weights of networks of this shape; nothing has changed then.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The transformer has been disposed.</exception>
    public void LoadWeights(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        using FileStream file = File.OpenRead(path);
        ImportWeights(file);
    }

    /// <summary>Writes the weights.</summary>
    private protected abstract void ExportWeights(Stream stream);

    /// <summary>Takes the weights over, while no row is computed.</summary>
    private protected abstract void ImportWeights(Stream stream);
}
