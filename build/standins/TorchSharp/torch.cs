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

        public static readonly ScalarType float32 = ScalarType.Float32;
        public static readonly ScalarType float64 = ScalarType.Float64;

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

        public static DisposeScope NewDisposeScope() => new();

        public static DisposeScope? CurrentDisposeScope => DisposeScope.Current;

        internal static Device Present(Device? device)
        {
            device ??= CPU;
            InitializeDeviceType(device.type);
            return device;
        }

        public static void InitializeDeviceType(DeviceType deviceType)
        {
            if (deviceType == DeviceType.CUDA && !cuda.is_available())
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
