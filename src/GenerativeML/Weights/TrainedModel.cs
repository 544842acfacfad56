using TorchSharp;

namespace GenerativeML;

/// <summary>A trained network on its device with the way to files and back.</summary>
internal abstract class TrainedModel<TModel> : DeviceModel<TModel>
    where TModel : torch.nn.Module
{
    protected TrainedModel(TModel model, torch.Device device)
        : base(model, device)
    {
    }

    /// <summary>Writes all tensors of the model as safetensors.</summary>
    public void Save(Stream stream)
    {
        CheckAlive();
        TensorFile.Save(stream, Model.NamedTensors());
    }

    /// <summary>Writes the networks' weights as safetensors, named and shaped as PyTorch's own layers have them.</summary>
    public void ExportWeights(Stream stream)
    {
        CheckAlive();
        using DisposeScope scope = torch.NewDisposeScope();
        TensorFile.Save(stream, Exported());
    }

    /// <summary>Takes the networks' weights from such a file; all else stays.</summary>
    /// <exception cref="FormatException">
    /// The file does not hold exactly the weights of networks of this shape.
    /// </exception>
    public void ImportWeights(Stream stream)
    {
        CheckAlive();
        using DisposeScope scope = torch.NewDisposeScope();
        TensorFile.Load(stream, Exported());
    }

    /// <summary>The networks' tensors, or views of them, as they are exchanged with PyTorch.</summary>
    protected abstract IReadOnlyList<(string Name, torch.Tensor Value)> Exported();

    /// <summary>Builds a model and reads its tensors.</summary>
    /// <param name="name">What errors call it.</param>
    /// <param name="elements">
    /// How many numbers its tensors hold: the file must be long enough for them before anything is allocated.
    /// </param>
    /// <param name="weights">The file.</param>
    /// <param name="device">Where it will compute.</param>
    /// <param name="build">Builds the model, with weights of no meaning.</param>
    /// <exception cref="FormatException">The file does not hold exactly the model's tensors.</exception>
    protected static TModel Read(
        string name, long elements, Stream weights, torch.Device device, Func<SeededRandom, TModel> build)
    {
        if (elements > (weights.Length - weights.Position) / sizeof(float))
        {
            throw new FormatException(
                $"The saved {name}'s weights are fewer than its shape needs: the file is truncated or altered.");
        }
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(device);
        TModel model = build(random).OutliveScope();
        try
        {
            TensorFile.Load(weights, model.NamedTensors());
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }
}
