using TorchSharp;

namespace GenerativeML;

/// <summary>A module's tensors: which there are, which are trained, and who disposes them.</summary>
/// <remarks>
/// Layers of this package hold weights as plain tensors that require a gradient: TorchSharp's <c>Parameter</c> takes a
/// tensor over without telling the count of live tensors, which then never comes back to what it was.
/// </remarks>
internal static class ModuleTensors
{
    /// <summary>Parameters and buffers, by the names of the state dict.</summary>
    public static IReadOnlyList<(string Name, torch.Tensor Value)> NamedTensors(this torch.nn.Module module) =>
        [.. module.named_parameters().Select(p => (p.Item1, (torch.Tensor)p.Item2)), .. module.named_buffers()];

    /// <summary>Copies of parameters and buffers, by the names of the state dict.</summary>
    public static HostWeights ToHost(this torch.nn.Module module)
    {
        IReadOnlyList<(string Name, torch.Tensor Value)> tensors = module.NamedTensors();
        var weights = new HostWeights(tensors.Select(t => new TensorSpec(t.Name, TensorType.F32, t.Value.shape)));
        foreach ((string name, torch.Tensor value) in tensors)
            HostTensors.CopyTo(value, weights[name]);
        return weights;
    }

    /// <summary>Takes such copies back.</summary>
    public static void Take(this torch.nn.Module module, HostWeights weights)
    {
        using IDisposable noGradient = torch.no_grad();
        foreach ((string name, torch.Tensor value) in module.NamedTensors())
        {
            using torch.Tensor host = HostTensors.FromRows(weights[name], 1, weights[name].Length, torch.CPU);
            using torch.Tensor shaped = host.view(value.shape);
            value.copy_(shaped);
        }
    }

    /// <summary>The tensors that training moves.</summary>
    public static IReadOnlyList<torch.Tensor> TrainedTensors(this torch.nn.Module module) =>
        [.. module.NamedTensors().Select(t => t.Value).Where(t => t.requires_grad)];
}
