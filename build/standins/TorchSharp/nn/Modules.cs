using System.Collections;
using System.Globalization;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            public static Modules.Linear Linear(long inputSize, long outputSize, bool hasBias = true, Device? device = null, ScalarType? dtype = null) =>
                new(inputSize, outputSize, hasBias, device, dtype);

            public static Modules.Sequential Sequential(params Module<Tensor, Tensor>[] modules) => new(modules);
        }
    }
}

namespace TorchSharp.Modules
{
    /// <summary>A tensor that a module trains. It takes the native tensor of <c>data</c>, which is empty afterwards.</summary>
    public class Parameter : Tensor
    {
        public Parameter(Tensor data, bool requires_grad = true)
            : base(data.with_requires_grad(requires_grad).MoveHandle())
        {
        }

        internal Parameter(nint handle) : base(handle)
        {
        }
    }

    public sealed class Linear : Module<Tensor, Tensor>
    {
        internal Linear(long inputSize, long outputSize, bool hasBias, Device? device, ScalarType? dtype)
            : base(nameof(Linear))
        {
            double bound = 1 / Math.Sqrt(inputSize);
            register_parameter(nameof(weight), Drawn([outputSize, inputSize], bound, device, dtype));
            if (hasBias)
                register_parameter(nameof(bias), Drawn([outputSize], bound, device, dtype));
        }

        public Parameter weight => get_parameter(nameof(weight))!;

        public Parameter? bias => get_parameter(nameof(bias));

        public override Tensor forward(Tensor tensor) => functional.linear(tensor, weight, bias);

        private static Parameter Drawn(long[] size, double bound, Device? device, ScalarType? dtype) =>
            new(init.uniform_(empty(size, dtype, device), -bound, bound).requires_grad_().DecoupleFromNativeHandle());
    }

    public class Sequential : Module<Tensor, Tensor>
    {
        protected internal Sequential(params Module<Tensor, Tensor>[] modules) : base(nameof(Sequential))
        {
            foreach (Module<Tensor, Tensor> module in modules)
                append(module);
        }

        public int Count => named_children().Count();

        public Sequential append(IModule<Tensor, Tensor> module) =>
            append(Count.ToString(CultureInfo.InvariantCulture), module);

        public Sequential append(string name, IModule<Tensor, Tensor> module)
        {
            register_module(name, (Module)module);
            return this;
        }

        public override Tensor forward(Tensor tensor)
        {
            Tensor result = tensor;
            foreach (var (_, module) in named_children())
            {
                Tensor next = ((IModule<Tensor, Tensor>)module).call(result);
                // As in TorchSharp, what passes between the parts does not outlive the call.
                if (!ReferenceEquals(result, tensor) && !ReferenceEquals(result, next))
                    result.Dispose();
                result = next;
            }
            return ReferenceEquals(result, tensor) ? tensor.alias() : result;
        }
    }

    /// <summary>Modules under their numbers, registered when the list itself is.</summary>
    public class ModuleList<T> : Module, IEnumerable<T> where T : Module
    {
        private readonly List<T> _items;
        private bool _listed;

        public ModuleList(params T[] modules) : base("ModuleList") => _items = [.. modules];

        public int Count => _items.Count;

        public T this[int index] => _items[index];

        public void Add(T item) => _items.Add(item);

        public IEnumerator<T> GetEnumerator() => _items.GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

        protected override void RegisterComponents()
        {
            if (_listed)
                return;
            _listed = true;
            for (int i = 0; i < _items.Count; i++)
                register_module(i.ToString(CultureInfo.InvariantCulture), _items[i]);
        }
    }
}
