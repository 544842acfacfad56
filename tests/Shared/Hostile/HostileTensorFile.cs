using TorchSharp;

namespace GenerativeML.Tests.Hostile;

/// <summary>Damaged weights, and a network's tensors that they are loaded into.</summary>
internal sealed class HostileTensorFile : IDisposable
{
    private readonly (string Name, torch.Tensor Value)[] _tensors =
    [
        ("encoder.0.weight", torch.zeros([4, 6], torch.ScalarType.Float32)),
        ("encoder.0.bias", torch.zeros([4], torch.ScalarType.Float32)),
        ("encoder.1.num_batches_tracked", torch.zeros([], torch.ScalarType.Int64)),
        ("mask", torch.zeros([3], torch.ScalarType.Bool)),
    ];

    /// <summary>Loading into tensors that are all ones, which a refused file must leave so.</summary>
    public HostileRun Loading() => new("weights", FileMutator.Safetensors([Original()]).Damage, Load)
    {
        AllocationPerByte = 16,
        FixedAllocation = 128 << 10,
    };

    public void Dispose()
    {
        foreach ((_, torch.Tensor value) in _tensors)
            value.Dispose();
    }

    private byte[] Original()
    {
        using var stream = new MemoryStream();
        TensorFile.Save(stream, _tensors, new Dictionary<string, string> { ["format"] = "pt" });
        return stream.ToArray();
    }

    private void Load(byte[] file)
    {
        foreach ((_, torch.Tensor value) in _tensors)
            value.fill_(1);
        long before = torch.Tensor.TotalCount;
        try
        {
            TensorFile.Load(new MemoryStream(file), _tensors);
        }
        catch (FormatException)
        {
            foreach ((string name, torch.Tensor value) in _tensors)
                Require(IsOnes(value), $"{name} was changed by a file that was refused");
            Require(torch.Tensor.TotalCount == before, "a tensor was left behind");
            throw;
        }
    }

    private static bool IsOnes(torch.Tensor value)
    {
        using torch.Tensor ones = torch.ones_like(value);
        return value.Equals(ones);
    }

    private static void Require(bool promise, string broken)
    {
        if (!promise)
            throw new InvalidOperationException(broken);
    }
}
