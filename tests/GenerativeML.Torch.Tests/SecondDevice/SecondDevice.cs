using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML.Torch.Tests;

/// <summary>
/// The stand-in's second device: the CPU's memory and kernels under another name. It refuses tensors of the CPU beside
/// its own, as a GPU does, and counts what is read back, for which a GPU would have to be waited for. TorchSharp's own
/// native library has no such device; tests that need it are inconclusive there.
/// </summary>
internal static partial class SecondDevice
{
    private const string Library = "torch-dispatch";

    /// <summary>How often tensors were copied from it to the CPU.</summary>
    public static long Copies => IsThere() ? torch_second_device_copies() : 0;

    /// <summary>As options name it.</summary>
    public static ComputeDevice Choice => ComputeDevice.OfType(TypeNumber());

    /// <summary>As torch names it.</summary>
    public static torch.Device Device => new((DeviceType)TypeNumber(), 0);

    private static int TypeNumber()
    {
        if (!IsThere())
            Assert.Inconclusive("The native library of this TorchSharp has no second device.");
        return torch_second_device();
    }

    private static bool IsThere() => NativeLibrary.TryLoad(Library, typeof(SecondDevice).Assembly, null, out _);

    [LibraryImport(Library)]
    private static partial int torch_second_device();

    [LibraryImport(Library)]
    private static partial long torch_second_device_copies();
}
