using TorchSharp.Dispatch;

namespace TorchSharp;

/// <summary>A number of either kind, as an argument.</summary>
public sealed class Scalar : IDisposable
{
    internal Argument Value { get; }

    private Scalar(Argument value) => Value = value;

    public static implicit operator Scalar(bool value) => new(value);
    public static implicit operator Scalar(int value) => new((long)value);
    public static implicit operator Scalar(long value) => new(value);
    public static implicit operator Scalar(float value) => new((double)value);
    public static implicit operator Scalar(double value) => new(value);

    public void Dispose()
    {
    }
}
