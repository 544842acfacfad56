using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>
/// Tensors that are left behind. Each stock layer of torch leaves some in the count for good, though not in memory, so
/// that what a fit leaves is compared with what another leaves that trains the same layers for longer.
/// </summary>
internal static class LiveTensors
{
    /// <summary>By how much an action raises the number of live tensors.</summary>
    public static long Growth(Action action)
    {
        long before = torch.Tensor.TotalCount;
        action();
        return torch.Tensor.TotalCount - before;
    }
}
