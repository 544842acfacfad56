using System.Runtime.InteropServices;
using TorchSharp.Dispatch;

namespace TorchSharp
{
    /// <summary>Where a tensor lives; the values are libtorch's.</summary>
    public enum DeviceType
    {
        CPU = 0,
        CUDA = 1,
    }

    public static partial class torch
    {
        static torch() => Library.Load();

        /// <summary>Element types; the values are libtorch's.</summary>
        public enum ScalarType : sbyte
        {
            Byte = 0,
            Int8 = 1,
            Int16 = 2,
            Int32 = 3,
            Int64 = 4,
            Float16 = 5,
            Float32 = 6,
            Float64 = 7,
            ComplexFloat32 = 9,
            ComplexFloat64 = 10,
            Bool = 11,
            BFloat16 = 15,
        }

        public static readonly ScalarType uint8 = ScalarType.Byte;
        public static readonly ScalarType int32 = ScalarType.Int32;
        public static readonly ScalarType int64 = ScalarType.Int64;
        public static readonly ScalarType float16 = ScalarType.Float16;
        public static readonly ScalarType bfloat16 = ScalarType.BFloat16;
        public static readonly ScalarType float32 = ScalarType.Float32;
        public static readonly ScalarType float64 = ScalarType.Float64;
        public static readonly ScalarType @bool = ScalarType.Bool;

        /// <summary>A device type and, for CUDA, which one; -1 is the current one.</summary>
        public class Device
        {
            public Device(DeviceType deviceType, int index = -1) => (type, this.index) = (deviceType, index);

            public Device(string description)
            {
                string[] parts = description.Split(':');
                type = Enum.Parse<DeviceType>(parts[0], ignoreCase: true);
                index = parts.Length > 1 ? int.Parse(parts[1], null) : -1;
            }

            public DeviceType type { get; }

            public int index { get; }

            public override string ToString() =>
                type.ToString().ToLowerInvariant() + (index < 0 ? "" : FormattableString.Invariant($":{index}"));
        }

        public static readonly Device CPU = new(DeviceType.CPU);

        public static Device CUDA => InitializeDevice(new Device(DeviceType.CUDA));

        public static Device device(string description) => InitializeDevice(new Device(description));

        public static Device device(DeviceType deviceType, int index = -1) => InitializeDevice(new Device(deviceType, index));

        /// <summary>The device, or the default one, where this machine has it.</summary>
        public static Device InitializeDevice(Device? device)
        {
            device ??= get_default_device();
            InitializeDeviceType(device.type);
            return device;
        }

        public static Device get_default_device() => CPU;

        public static string __version__
        {
            get { unsafe { return Marshal.PtrToStringUTF8((nint)Library.torch_version())!; } }
        }

        public static DisposeScope NewDisposeScope() => new();

        public static DisposeScope? CurrentDisposeScope => DisposeScope.Current;

        public static bool TryInitializeDeviceType(DeviceType deviceType) =>
            deviceType == DeviceType.CPU || cuda.is_available();

        public static void InitializeDeviceType(DeviceType deviceType)
        {
            if (!TryInitializeDeviceType(deviceType))
                throw new InvalidOperationException($"Torch device type {deviceType} did not initialise on the current machine.");
        }

        public static int get_num_threads() => Library.torch_threads(0);

        public static void set_num_threads(int num) => Library.torch_threads(num);

        public static ScalarType get_default_dtype() => (ScalarType)Library.torch_default_dtype(-1);

        public static void set_default_dtype(ScalarType dtype) => Library.torch_default_dtype((int)dtype);

        public static class cuda
        {
            public static bool is_available() => device_count() > 0;

            public static int device_count() => Library.torch_cuda_devices();

            public static void synchronize(Device? device = null) =>
                Library.Check(Library.torch_cuda_synchronize(device?.index ?? -1));
        }
    }
}
