using TorchSharp.Dispatch;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>A source of random numbers. As in TorchSharp, it is the CPU's whatever <c>device</c> says.</summary>
    public class Generator : IDisposable
    {
        public Generator(ulong seed = 0, Device? device = null)
        {
            Library.Check(Library.torch_generator_new(seed, out nint handle));
            (Handle, this.device) = (handle, device ?? CPU);
        }

        private Generator(nint handle) => (Handle, device) = (handle, CPU);

        ~Generator() => Dispose(false);

        /// <summary>A new object for the process's own generator.</summary>
        public static Generator Default
        {
            get
            {
                Library.Check(Library.torch_generator_default(out nint handle));
                return new Generator(handle);
            }
        }

        public nint Handle { get; private set; }

        public Device device { get; }

        public Tensor get_state()
        {
            Library.Check(Library.torch_generator_get_state(Handle, out nint state));
            return new Tensor(state);
        }

        public void set_state(Tensor value) => Library.Check(Library.torch_generator_set_state(Handle, value.Handle));

        public Generator manual_seed(long seed)
        {
            Library.Check(Library.torch_generator_seed(Handle, (ulong)seed));
            return this;
        }

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            if (Handle != 0)
                Library.torch_generator_release(Handle);
            Handle = 0;
        }
    }

    /// <summary>Seeds every generator of the process, and returns the CPU's.</summary>
    public static Generator manual_seed(long seed)
    {
        Library.Check(Library.torch_seed_all((ulong)seed));
        return Generator.Default;
    }

    public static Tensor get_rng_state()
    {
        using Generator shared = Generator.Default;
        return shared.get_state();
    }

    public static void set_rng_state(Tensor new_state)
    {
        using Generator shared = Generator.Default;
        shared.set_state(new_state);
    }
}
