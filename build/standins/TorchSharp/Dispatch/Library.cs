using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TorchSharp.Dispatch;

/// <summary>The functions of torch-dispatch/dispatch.cpp.</summary>
internal static unsafe partial class Library
{
    private const string Name = "torch-dispatch";

    [LibraryImport(Name)] private static partial byte* torch_last_error();
    [LibraryImport(Name)] internal static partial byte* torch_version();

    [LibraryImport(Name, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int torch_find(string name, string overload, out nint found);
    [LibraryImport(Name)] internal static partial int torch_call(nint op, NativeValue* arguments, int count, NativeValue** results, int* resultCount);

    [LibraryImport(Name)] internal static partial void torch_tensor_release(nint tensor);
    [LibraryImport(Name)] internal static partial int torch_tensor_describe(nint tensor, out TensorDescription about);
    [LibraryImport(Name)] internal static partial int torch_tensor_shape(nint tensor, long* sizes, long* strides);
    [LibraryImport(Name)] internal static partial int torch_tensor_data(nint tensor, out nint data);

    [LibraryImport(Name)] internal static partial int torch_set_requires_grad(nint tensor, int value);
    [LibraryImport(Name)] internal static partial int torch_get_grad(nint tensor, out nint grad);
    [LibraryImport(Name)] internal static partial int torch_set_grad(nint tensor, nint grad);
    [LibraryImport(Name)] internal static partial int torch_backward(nint[] tensors, int count, nint[]? grads, int retainGraph, int createGraph, nint[]? inputs, int inputCount);
    [LibraryImport(Name)] internal static partial int torch_autograd_grad(nint[] outputs, int outputCount, nint[] inputs, int inputCount, nint[]? grads, int retainGraph, int createGraph, int allowUnused, [Out] nint[] results);
    [LibraryImport(Name)] internal static partial int torch_grad_mode(int value);
    [LibraryImport(Name)] internal static partial nint torch_inference_mode_enter(int enabled);
    [LibraryImport(Name)] internal static partial void torch_inference_mode_leave(nint guard);
    [LibraryImport(Name)] internal static partial int torch_inference_mode_enabled();

    [LibraryImport(Name)] internal static partial int torch_generator_new(ulong seed, out nint created);
    [LibraryImport(Name)] internal static partial int torch_generator_default(out nint shared);
    [LibraryImport(Name)] internal static partial void torch_generator_release(nint generator);
    [LibraryImport(Name)] internal static partial int torch_generator_seed(nint generator, ulong seed);
    [LibraryImport(Name)] internal static partial int torch_generator_get_state(nint generator, out nint state);
    [LibraryImport(Name)] internal static partial int torch_generator_set_state(nint generator, nint state);
    [LibraryImport(Name)] internal static partial int torch_seed_all(ulong seed);

    [LibraryImport(Name)] internal static partial int torch_threads(int count);
    [LibraryImport(Name)] internal static partial int torch_default_dtype(int dtype);
    [LibraryImport(Name)] internal static partial int torch_cuda_devices();
    [LibraryImport(Name)] internal static partial int torch_cuda_synchronize(long device);

    /// <summary>Throws what the native side reported, as TorchSharp does.</summary>
    internal static void Check(int status)
    {
        if (status != 0)
            throw new ExternalException(Marshal.PtrToStringUTF8((nint)torch_last_error()));
    }

    /// <summary>Makes sure that the native library is there before anything else is asked of it.</summary>
    internal static void Load()
    {
        try
        {
            _ = torch_version();
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException or BadImageFormatException)
        {
            throw new NotSupportedException($"The libtorch binaries cannot be loaded: {e.Message}", e);
        }
    }
}

/// <summary>What a tensor is, read in one call.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TensorDescription
{
    public long Elements, Dimensions, ElementSize;
    public int Type, DeviceType, DeviceIndex, Contiguous, RequiresGrad, Leaf;
}
