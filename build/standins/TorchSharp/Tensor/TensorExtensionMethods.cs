namespace TorchSharp;

/// <summary>Reading a tensor of one element as a number, whatever its type.</summary>
public static class TensorExtensionMethods
{
    public static float ToSingle(this torch.Tensor value) => Dispatch.Operators.Number("item", value).ToSingle(null);
}
