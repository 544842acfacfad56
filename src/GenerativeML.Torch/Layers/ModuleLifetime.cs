using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>Who disposes a module's tensors.</summary>
internal static class ModuleLifetime
{
    /// <summary>
    /// Takes a new module's parameters and buffers out of the dispose scope that they were made in: from here on they
    /// live until the module is disposed.
    /// </summary>
    public static TModule OutliveScope<TModule>(this TModule module)
        where TModule : torch.nn.Module
    {
        foreach ((_, torch.Tensor value) in WeightSnapshot.Tensors(module))
            value.DetachFromDisposeScope();
        return module;
    }
}
