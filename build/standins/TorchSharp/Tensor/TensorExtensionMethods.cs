using TorchSharp.Modules;

namespace TorchSharp;

/// <summary>Reading a tensor of one element as a number, whatever its type.</summary>
public static class TensorExtensionMethods
{
    public static float ToSingle(this torch.Tensor value) => (float)value.ToDouble();

    public static double ToDouble(this torch.Tensor value) => Number(value).ToDouble(null);

    public static int ToInt32(this torch.Tensor value) => checked((int)value.ToInt64());

    public static long ToInt64(this torch.Tensor value) => Number(value).ToInt64(null);

    public static bool ToBoolean(this torch.Tensor value) => Number(value).ToBoolean(null);

    public static Parameter AsParameter(this torch.Tensor tensor) => new(tensor);

    private static IConvertible Number(torch.Tensor value) => Dispatch.Operators.Number("item", value);
}
