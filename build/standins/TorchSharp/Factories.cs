using System.Runtime.InteropServices;
using TorchSharp.Dispatch;
using static TorchSharp.Dispatch.Operators;

namespace TorchSharp;

public static partial class torch
{
    private static Tensor Made(Tensor made, bool requires_grad) => requires_grad ? made.requires_grad_() : made;

    // Every factory of the schema ends in dtype, layout, device; layouts are not used here.
    private static Tensor Make(string name, Argument size, ScalarType? dtype, Device? device, bool requires_grad) =>
        Made(Call(name, size, dtype, Argument.None, Present(device)), requires_grad);

    private static Tensor Draw(string name, Argument size, Generator? generator, ScalarType? dtype, Device? device, bool requires_grad) =>
        Made(Call(name, size, generator, dtype, Argument.None, Present(device)), requires_grad);

    public static Tensor zeros(long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => Make("zeros", size, dtype, device, requires_grad);
    public static Tensor zeros(ReadOnlySpan<long> size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => zeros(size.ToArray(), dtype, device, requires_grad);
    public static Tensor zeros(long size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => zeros([size], dtype, device, requires_grad);
    public static Tensor zeros(long rows, long columns, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => zeros([rows, columns], dtype, device, requires_grad);

    public static Tensor ones(long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => Make("ones", size, dtype, device, requires_grad);
    public static Tensor ones(ReadOnlySpan<long> size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => ones(size.ToArray(), dtype, device, requires_grad);
    public static Tensor ones(long size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => ones([size], dtype, device, requires_grad);
    public static Tensor ones(long rows, long columns, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => ones([rows, columns], dtype, device, requires_grad);

    public static Tensor empty(long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => Make("empty.memory_format", size, dtype, device, requires_grad);
    public static Tensor empty(long size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => empty([size], dtype, device, requires_grad);
    public static Tensor empty(long rows, long columns, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => empty([rows, columns], dtype, device, requires_grad);

    public static Tensor full(ReadOnlySpan<long> size, Scalar value, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => Made(Call("full", size.ToArray(), value, dtype, Argument.None, Present(device)), requires_grad);
    public static Tensor full(long size, Scalar value, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => full([size], value, dtype, device, requires_grad);

    public static Tensor rand(long size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) => Draw("rand.generator", new[] { size }, generator, dtype, device, requires_grad);

    public static Tensor randn(long size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) => Draw("randn.generator", new[] { size }, generator, dtype, device, requires_grad);

    public static Tensor randint(long low, long high, long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) => Made(Call("randint.low_generator", low, high, size, generator, dtype ?? ScalarType.Int64, Argument.None, Present(device)), requires_grad);
    public static Tensor randperm(long n, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null) => Draw("randperm.generator", n, generator, dtype ?? ScalarType.Int64, device, requires_grad);

    public static Tensor zeros_like(Tensor input, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => Make("zeros_like", input, dtype ?? input.dtype, device ?? input.device, requires_grad);
    public static Tensor ones_like(Tensor input, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => Make("ones_like", input, dtype ?? input.dtype, device ?? input.device, requires_grad);

    public static Tensor arange(Scalar stop, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) => Made(Call("arange", stop, dtype, Argument.None, Present(device)), requires_grad);

    public static Tensor tensor(float[] rawArray, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => Copy(rawArray, [rawArray.Length], dtype, device, requires_grad);
    public static Tensor tensor(float[] rawArray, ReadOnlySpan<long> dimensions, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => Copy(rawArray, dimensions.ToArray(), dtype, device, requires_grad);

    public static Tensor tensor(double[] rawArray, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => Copy(rawArray, [rawArray.Length], dtype, device, requires_grad);

    public static Tensor tensor(byte[] rawArray, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null) => Copy(rawArray, [rawArray.Length], dtype, device, requires_grad);

    public static Tensor tensor(long scalar, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) => Copy([scalar], [], dtype, device, requires_grad);

    private static Tensor Copy<T>(T[] values, long[] dimensions, ScalarType? dtype, Device? device, bool requires_grad)
        where T : unmanaged
    {
        Tensor made = empty(dimensions, TypeOf<T>());
        made.bytes = MemoryMarshal.AsBytes(values.AsSpan());
        if ((dtype is not null && dtype != made.dtype) || (device is not null && device.type != DeviceType.CPU))
            made = made.to(dtype ?? made.dtype, device ?? CPU, disposeAfter: true);
        return Made(made, requires_grad);
    }
}
