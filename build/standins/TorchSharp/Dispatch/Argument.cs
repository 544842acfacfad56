using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace TorchSharp.Dispatch;

/// <summary>What an argument or a result is; the order is that of dispatch.cpp.</summary>
internal enum ArgumentKind : long
{
    None, Default, Tensor, Integer, Real, Boolean, Integers, Reals, Tensors, Text, Device, Generator,
}

/// <summary>An argument or result as dispatch.cpp sees it.</summary>
[StructLayout(LayoutKind.Explicit, Size = 24)]
internal struct NativeValue
{
    [FieldOffset(0)] public ArgumentKind Kind;
    [FieldOffset(8)] public nint Pointer;
    [FieldOffset(8)] public long Integer;
    [FieldOffset(8)] public double Real;
    [FieldOffset(16)] public long Length;
}

/// <summary>
/// An argument of an operator, from anything that TorchSharp's methods take. It holds the managed object, so that a
/// tensor cannot be finalized while the operator runs.
/// </summary>
internal readonly struct Argument
{
    public readonly ArgumentKind Kind;
    public readonly long Bits;
    public readonly object? Object;

    private Argument(ArgumentKind kind, long bits = 0, object? value = null) => (Kind, Bits, Object) = (kind, bits, value);

    /// <summary>No value: an optional parameter left empty.</summary>
    public static Argument None => default;

    public static implicit operator Argument(torch.Tensor? value) => value is null ? None : new(ArgumentKind.Tensor, 0, value);
    public static implicit operator Argument(long value) => new(ArgumentKind.Integer, value);
    public static implicit operator Argument(long? value) => value is null ? None : value.Value;
    public static implicit operator Argument(double value) => new(ArgumentKind.Real, BitConverter.DoubleToInt64Bits(value));
    public static implicit operator Argument(double? value) => value is null ? None : value.Value;
    public static implicit operator Argument(bool value) => new(ArgumentKind.Boolean, value ? 1 : 0);
    public static implicit operator Argument(ScalarType value) => (long)value;
    public static implicit operator Argument(ScalarType? value) => value is null ? None : value.Value;
    public static implicit operator Argument(Scalar? value) => value is null ? None : value.Value;
    public static implicit operator Argument(long[]? value) => value is null ? None : new(ArgumentKind.Integers, 0, value);
    public static implicit operator Argument(torch.Tensor?[]? value) => value is null ? None : new(ArgumentKind.Tensors, 0, value);
    public static implicit operator Argument(Device? value) => value is null ? None : new(ArgumentKind.Device, 0, value);
    public static implicit operator Argument(Generator? value) => value is null ? None : new(ArgumentKind.Generator, 0, value);
}
