
namespace GenerativeML;

public sealed partial class GptTransformer
{
    private readonly GptAdapters? _adapters;

    /// <summary>
    /// Writes the weights as a safetensors file under GPT-2's names, as <see cref="GptOptions.InitialWeights"/> reads
    /// it; adapters are merged into them.
    /// </summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    /// <param name="layout">How matrices lie in it.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such layout.</exception>
    /// <exception cref="ObjectDisposedException">The transformer has been disposed.</exception>
    public void SaveWeights(string path, GptWeightLayout layout = GptWeightLayout.Linear)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        OptionChecks.Defined(layout);
        GptWeights weights = _model.CopyWeights();
        AtomicFile.Write(path, file => GptWeightFile.Write(file, weights, layout));
    }

    /// <summary>
    /// Writes the low-rank adapters that training made as a safetensors file, as
    /// <see cref="GptOptions.InitialAdapters"/> reads it. They belong to the weights that training started from.
    /// </summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    /// <exception cref="InvalidOperationException">
    /// The transformer is not fresh from training with option <see cref="GptOptions.Lora"/>: a saved model has its
    /// adapters merged into its weights.
    /// </exception>
    public void SaveAdapters(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        if (_adapters is null)
            throw new InvalidOperationException(
                "There are no adapters to save: the model was not trained with option Lora, or was loaded.");
        AtomicFile.Write(path, _adapters.Save);
    }
}
