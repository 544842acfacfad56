using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>Rows on the device, one tensor (Rows × Width) for each field of the source.</summary>
internal sealed class Batch(IReadOnlyList<torch.Tensor> fields, int rows)
{
    /// <summary>The tensor of field <paramref name="field"/>, (Rows, Width).</summary>
    public torch.Tensor this[int field] => fields[field];

    /// <summary>The tensors of all fields.</summary>
    public IReadOnlyList<torch.Tensor> Fields => fields;

    /// <summary>The number of rows.</summary>
    public int Rows => rows;
}
