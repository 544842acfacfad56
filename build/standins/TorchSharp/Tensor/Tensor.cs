using System.Runtime.CompilerServices;
using TorchSharp.Dispatch;
using TorchSharp.Utils;
using static TorchSharp.Dispatch.Operators;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>A handle on a libtorch tensor. The rest of the class is in the files next to this one.</summary>
    public partial class Tensor : IDisposable
    {
        private static long s_totalCount;

        private nint _handle;

        internal Tensor(nint handle)
        {
            _handle = handle;
            Interlocked.Increment(ref s_totalCount);
            OwningDisposeScope = DisposeScope.Current;
            OwningDisposeScope?.Register(this);
        }

        ~Tensor() => Dispose(false);

        /// <summary>How many tensors of the process are not disposed.</summary>
        public static long TotalCount => s_totalCount;

        internal DisposeScope? OwningDisposeScope { get; set; }

        public bool IsInvalid => _handle == 0;

        public nint Handle =>
            _handle != 0 ? _handle : throw new InvalidOperationException("Tensor invalid -- empty handle.");

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            OwningDisposeScope?.Detach(this);
            if (_handle == 0)
                return;
            Interlocked.Decrement(ref s_totalCount);
            Library.torch_tensor_release(_handle);
            _handle = 0;
        }

        /// <summary>
        /// Gives the native tensor away and leaves this object empty. As in TorchSharp, <see cref="TotalCount"/> does
        /// not notice, so that a <c>Parameter</c> made from a tensor counts twice, once of them for good.
        /// </summary>
        internal nint MoveHandle()
        {
            nint handle = Handle;
            _handle = 0;
            return handle;
        }

        public Tensor DetachFromDisposeScope()
        {
            OwningDisposeScope?.Detach(this);
            return this;
        }

        public Tensor MoveToOuterDisposeScope()
        {
            OwningDisposeScope?.MoveToOuter(this);
            return this;
        }

        private TensorDescription Describe()
        {
            Library.Check(Library.torch_tensor_describe(Handle, out TensorDescription about));
            return about;
        }

        public long dim() => Describe().Dimensions;

        public long numel() => Describe().Elements;

        public long ElementSize => Describe().ElementSize;

        public ScalarType dtype => (ScalarType)Describe().Type;

        public DeviceType device_type => (DeviceType)Describe().DeviceType;

        public int device_index => Describe().DeviceIndex;

        public Device device => device_type == DeviceType.CPU ? CPU : new Device(device_type, device_index);

        public bool is_leaf => Describe().Leaf != 0;

        public long[] shape => Layout().Sizes;

        public long[] stride() => Layout().Strides;

        private unsafe (long[] Sizes, long[] Strides) Layout()
        {
            int dimensions = (int)dim();
            var (sizes, strides) = (new long[dimensions], new long[dimensions]);
            fixed (long* first = sizes, second = strides)
                Library.Check(Library.torch_tensor_shape(Handle, first, second));
            return (sizes, strides);
        }

        public bool requires_grad
        {
            get => Describe().RequiresGrad != 0;
            set => Library.Check(Library.torch_set_requires_grad(Handle, value ? 1 : 0));
        }

        public Tensor requires_grad_(bool requires_grad = true)
        {
            this.requires_grad = requires_grad;
            return this;
        }

        /// <summary>The gradient, each time in an object of its own, or null.</summary>
        public Tensor? grad
        {
            get
            {
                Library.Check(Library.torch_get_grad(Handle, out nint found));
                return found == 0 ? null : new Tensor(found);
            }
            set => Library.Check(Library.torch_set_grad(Handle, value is null ? 0 : value.Handle));
        }

        public void backward() => autograd.backward([this]);

        /// <summary>The memory of a contiguous tensor on the CPU, itself.</summary>
        public unsafe Span<byte> bytes
        {
            get
            {
                TensorDescription about = Describe();
                if (about.Contiguous == 0)
                    throw new InvalidOperationException("The bytes of a tensor can be read where it is contiguous.");
                if (about.DeviceType != (int)DeviceType.CPU)
                    throw new InvalidOperationException("The bytes of a tensor can be read on the CPU.");
                if (about.Elements * about.ElementSize > int.MaxValue)
                    throw new ArgumentException("A span holds no more than int.MaxValue bytes.");
                return new Span<byte>((void*)Address(), (int)(about.Elements * about.ElementSize));
            }

            set
            {
                if (value.Length != numel() * ElementSize)
                    throw new ArgumentException("The tensor has another number of bytes.");
                value.CopyTo(bytes);
            }
        }

        internal nint Address()
        {
            Library.Check(Library.torch_tensor_data(Handle, out nint data));
            return data;
        }

        /// <summary>The elements, which have to be of type <typeparamref name="T"/>.</summary>
        public TensorAccessor<T> data<T>() where T : unmanaged
        {
            if (dtype != TypeOf<T>())
                throw new ArgumentException($"{typeof(T).Name} is not compatible with {dtype}");
            return new TensorAccessor<T>(device_type == DeviceType.CPU ? this : cpu());
        }

        public T item<T>() where T : unmanaged =>
            numel() == 1 ? data<T>()[0] : throw new ArgumentException("Number of elements in the tensor must be 1");

        public Tensor cpu() => to(torch.CPU);

        public Tensor to(Device device, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            to(dtype, device, copy, disposeAfter, non_blocking);

        public Tensor to(ScalarType type, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            Converted(Call("to.dtype", this, type, non_blocking, copy), disposeAfter);

        public Tensor to(ScalarType type, Device device, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            Converted(Call("to.device", this, Present(device), type, non_blocking, copy), disposeAfter);

        private Tensor Converted(Tensor result, bool disposeAfter)
        {
            if (disposeAfter)
                Dispose();
            return result;
        }

        public override bool Equals(object? obj) => obj is Tensor other && Equals(other);

        public bool Equals(Tensor target) => Ask("equal", this, target);

        public override int GetHashCode() => RuntimeHelpers.GetHashCode(this);

        public override string ToString() =>
            $"[{string.Join('x', shape)}], type = {dtype}, device = {device}";
    }

    internal static ScalarType TypeOf<T>() where T : unmanaged => default(T) switch
    {
        byte => ScalarType.Byte,
        sbyte => ScalarType.Int8,
        short => ScalarType.Int16,
        int => ScalarType.Int32,
        long => ScalarType.Int64,
        Half => ScalarType.Float16,
        float => ScalarType.Float32,
        double => ScalarType.Float64,
        bool => ScalarType.Bool,
        _ => throw new ArgumentException($"{typeof(T).Name} is not the element type of any tensor."),
    };
}
