using System.Reflection;
using TorchSharp.Modules;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static Parameter Parameter(Tensor data, bool requires_grad = true) => new(data, requires_grad);

        /// <summary>A part of a network: named parameters, buffers and further parts.</summary>
        public class Module : IDisposable
        {
            private readonly List<(string Name, Parameter Value)> _parameters = [];
            private readonly List<(string Name, Tensor Value)> _buffers = [];
            private readonly List<(string Name, Module Value)> _modules = [];
            private bool _registered;

            protected Module(string name)
            {
            }

            public virtual bool training { get; private set; } = true;

            /// <summary>
            /// Registers what the fields hold under the fields' names: modules, parameters, and plain tensors, which
            /// become buffers. Null fields and names that are taken are passed over.
            /// </summary>
            protected virtual void RegisterComponents()
            {
                if (_registered)
                    return;
                _registered = true;
                foreach (FieldInfo field in GetType().GetFields(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance))
                {
                    switch (field.GetValue(this))
                    {
                        case Module module when Free(_modules, field.Name):
                            register_module(field.Name, module);
                            break;
                        case Parameter parameter when Free(_parameters, field.Name):
                            register_parameter(field.Name, parameter);
                            break;
                        case Tensor tensor and not Modules.Parameter when Free(_buffers, field.Name):
                            register_buffer(field.Name, tensor);
                            break;
                    }
                }
            }

            public virtual void register_module(string name, Module submodule)
            {
                if (string.IsNullOrEmpty(name) || name.Contains('.', StringComparison.Ordinal))
                    throw new ArgumentException($"A module cannot be named '{name}'.");
                submodule.RegisterComponents();
                Add(_modules, name, submodule);
            }

            public virtual void register_parameter(string name, Parameter param) => Add(_parameters, name, param);

            public virtual void register_buffer(string name, Tensor tensor, bool persistent = true) => Add(_buffers, name, tensor);

            public virtual IEnumerable<(string name, Module module)> named_children() => _modules;

            public virtual IEnumerable<(string name, Parameter parameter)> named_parameters(bool recurse = true) =>
                Once(_parameters.Concat(recurse ? _modules.SelectMany(m => Below(m.Name, m.Value.named_parameters())) : []));

            public virtual IEnumerable<(string name, Tensor buffer)> named_buffers(bool recurse = true, bool include_nonpersistent = true) =>
                Once(_buffers.Concat(recurse ? _modules.SelectMany(m => Below(m.Name, m.Value.named_buffers())) : []));

            public virtual IEnumerable<Parameter> parameters(bool recurse = true) =>
                named_parameters(recurse).Select(p => p.parameter);

            public virtual void train(bool train = true)
            {
                training = train;
                foreach (var (_, module) in _modules)
                    module.train(train);
            }

            public virtual void eval() => train(false);

            public void Dispose()
            {
                Dispose(true);
                GC.SuppressFinalize(this);
            }

            protected virtual void Dispose(bool disposing)
            {
                if (!disposing)
                    return;
                foreach (var (_, buffer) in _buffers)
                    buffer.Dispose();
                foreach (var (_, parameter) in _parameters)
                    parameter.Dispose();
                foreach (var (_, module) in _modules)
                    module.Dispose();
            }

            private static bool Free<T>(List<(string Name, T Value)> list, string name) => list.TrueForAll(item => item.Name != name);

            private static void Add<T>(List<(string Name, T Value)> list, string name, T value)
            {
                ArgumentNullException.ThrowIfNull(value);
                if (!Free(list, name))
                    throw new InvalidOperationException($"{name} is already registered.");
                list.Add((name, value));
            }

            private static IEnumerable<(string, T)> Below<T>(string parent, IEnumerable<(string Name, T Value)> children) =>
                children.Select(child => ($"{parent}.{child.Name}", child.Value));

            // A tensor shared by two modules is listed under its first name; disposed ones are not listed.
            private static IEnumerable<(string, T)> Once<T>(IEnumerable<(string Name, T Value)> all) where T : Tensor =>
                all.Where(item => !item.Value.IsInvalid).DistinctBy(item => item.Value.Handle);
        }

        public abstract class Module<T, TResult> : Module
        {
            protected Module(string name) : base(name)
            {
            }

            public abstract TResult forward(T input);

            public TResult call(T input) => forward(input);
        }
    }
}
