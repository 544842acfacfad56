using TorchSharp;

namespace GenerativeML;

/// <summary>The tensors of a module of torch, by the names of the state dict.</summary>
internal static class ModuleTensors
{
    /// <summary>Parameters and buffers.</summary>
    public static IReadOnlyList<(string Name, torch.Tensor Value)> NamedTensors(this torch.nn.Module module) =>
        [.. module.named_parameters().Select(p => (p.Item1, (torch.Tensor)p.Item2)), .. module.named_buffers()];

    /// <summary>Copies of parameters and buffers.</summary>
    public static HostWeights ToHost(this torch.nn.Module module)
    {
        IReadOnlyList<(string Name, torch.Tensor Value)> tensors = module.NamedTensors();
        var weights = new HostWeights(tensors.Select(t => new TensorSpec(t.Name, TensorType.F32, t.Value.shape)));
        foreach ((string name, torch.Tensor value) in tensors)
            HostTensors.CopyTo(value, weights[name]);
        return weights;
    }

    /// <summary>The tensors that training moves.</summary>
    public static IReadOnlyList<torch.Tensor> TrainedTensors(this torch.nn.Module module) =>
        [.. module.NamedTensors().Select(t => t.Value).Where(t => t.requires_grad)];
}
