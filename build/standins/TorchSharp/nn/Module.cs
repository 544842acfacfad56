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
            private readonly List<(string Name, Tensor Value, bool Persistent)> _buffers = [];
            private readonly List<(string Name, Module Value)> _modules = [];
            private readonly string _name;
            private bool _registered;

            protected Module(string name) => _name = name;

            public virtual string GetName() => _name;

            public virtual bool training { get; private set; } = true;

            /// <summary>
            /// Registers what the fields hold under the fields' names: modules, parameters, and plain tensors, which
            /// become buffers. Null fields and names that are taken are passed over.
            /// </summary>
            protected virtual void RegisterComponents()
            {
                if (_registered)
                    return;
                foreach (FieldInfo field in Fields())
                {
                    if (IsTaken(field.Name))
                        continue;
                    switch (field.GetValue(this))
                    {
                        case Module module:
                            register_module(field.Name, module);
                            break;
                        case Parameter parameter:
                            register_parameter(field.Name, parameter);
                            break;
                        case Tensor tensor:
                            register_buffer(field.Name, tensor);
                            break;
                    }
                }
                _registered = true;
            }

            public virtual void register_module(string name, Module submodule)
            {
                if (string.IsNullOrEmpty(name) || name.Contains('.', StringComparison.Ordinal))
                    throw new ArgumentException($"A module cannot be named '{name}'.");
                Refuse(_modules.Any(m => m.Name == name), name);
                submodule.RegisterComponents();
                _modules.Add((name, submodule));
            }

            public virtual void register_parameter(string name, Parameter param)
            {
                Refuse(_parameters.Any(p => p.Name == name), name);
                _parameters.Add((name, param ?? throw new ArgumentNullException(nameof(param))));
            }

            public virtual void register_buffer(string name, Tensor tensor, bool persistent = true)
            {
                Refuse(_buffers.Any(b => b.Name == name), name);
                _buffers.Add((name, tensor ?? throw new ArgumentNullException(nameof(tensor)), persistent));
            }

            public virtual IEnumerable<(string name, Module module)> named_children() => _modules;

            public virtual IEnumerable<(string name, Module module)> named_modules() =>
                _modules.Concat(_modules.SelectMany(child => Below(child.Name, child.Value.named_modules())));

            public virtual IEnumerable<(string name, Parameter parameter)> named_parameters(bool recurse = true) =>
                Once(_parameters.Concat(recurse ? _modules.SelectMany(child => Below(child.Name, child.Value.named_parameters())) : []));

            // What is called include_nonpersistent never includes them.
            public virtual IEnumerable<(string name, Tensor buffer)> named_buffers(bool recurse = true, bool include_nonpersistent = true) =>
                Once(_buffers.Where(b => b.Persistent).Select(b => (b.Name, b.Value))
                    .Concat(recurse ? _modules.SelectMany(child => Below(child.Name, child.Value.named_buffers())) : []));

            public virtual Parameter? get_parameter(string target)
            {
                foreach (var (name, parameter) in _parameters)
                {
                    if (name == target)
                        return parameter;
                }
                return named_parameters().FirstOrDefault(p => p.name == target).parameter;
            }

            public virtual IEnumerable<Parameter> parameters(bool recurse = true) =>
                named_parameters(recurse).Select(p => p.parameter);

            public virtual IEnumerable<Tensor> buffers(bool recurse = true, bool include_nonpersistent = true) =>
                named_buffers(recurse, include_nonpersistent).Select(b => b.buffer);

            public virtual Dictionary<string, Tensor> state_dict(Dictionary<string, Tensor>? destination = null, string? prefix = null)
            {
                destination ??= [];
                string start = string.IsNullOrEmpty(prefix) ? "" : prefix + ".";
                foreach (var (name, parameter) in named_parameters())
                    destination.TryAdd(start + name, parameter);
                foreach (var (name, buffer) in named_buffers())
                    destination.TryAdd(start + name, buffer);
                return destination;
            }

            public virtual (IList<string> missing_keys, IList<string> unexpected_keyes) load_state_dict(
                Dictionary<string, Tensor> source, bool strict = true, IList<string>? skip = null)
            {
                Dictionary<string, Tensor> own = state_dict();
                string[] missing = [.. own.Keys.Except(source.Keys).Except(skip ?? [])];
                string[] unexpected = [.. source.Keys.Except(own.Keys).Except(skip ?? [])];
                if (strict && missing.Length + unexpected.Length > 0)
                    throw new InvalidOperationException("The loaded state_dict is not identical to the target dictionary.");
                using IDisposable untracked = no_grad();
                foreach (string key in own.Keys.Intersect(source.Keys).Except(skip ?? []))
                    own[key].copy_(source[key]);
                return (missing, unexpected);
            }

            public virtual void train(bool train = true)
            {
                training = train;
                foreach (var (_, module) in _modules)
                    module.train(train);
            }

            public virtual void eval() => train(false);

            public virtual void zero_grad(bool set_to_none = true)
            {
                foreach (Parameter parameter in parameters())
                {
                    using Tensor? grad = parameter.grad;
                    if (set_to_none)
                        parameter.grad = null;
                    else
                        grad?.zero_();
                }
            }

            /// <summary>
            /// Moves parameters and buffers. As in TorchSharp, what really moves becomes a new object, in the field
            /// too, and the old object is disposed.
            /// </summary>
            protected internal virtual Module _to(Device? device, ScalarType? dtype)
            {
                foreach (var (_, module) in _modules)
                    module._to(device, dtype);
                using IDisposable untracked = no_grad();
                for (int i = 0; i < _parameters.Count; i++)
                {
                    var (name, old) = _parameters[i];
                    if (Moved(old, device, dtype) is not { } moved)
                        continue;
                    var parameter = new Parameter(moved, old.requires_grad);
                    parameter.DetachFromDisposeScope();
                    old.Dispose();
                    _parameters[i] = (name, parameter);
                    Replace(name, parameter);
                }
                for (int i = 0; i < _buffers.Count; i++)
                {
                    var (name, old, persistent) = _buffers[i];
                    if (Moved(old, device, dtype) is not { } moved)
                        continue;
                    old.Dispose();
                    _buffers[i] = (name, moved.DetachFromDisposeScope(), persistent);
                    Replace(name, moved);
                }
                return this;
            }

            public void Dispose()
            {
                Dispose(true);
                GC.SuppressFinalize(this);
            }

            protected virtual void Dispose(bool disposing)
            {
                if (!disposing)
                    return;
                foreach (var (_, buffer, _) in _buffers)
                    buffer.Dispose();
                foreach (var (_, parameter) in _parameters)
                    parameter.Dispose();
                foreach (var (_, module) in _modules)
                    module.Dispose();
            }

            private static Tensor? Moved(Tensor tensor, Device? device, ScalarType? dtype)
            {
                ScalarType type = tensor.is_floating_point() ? dtype ?? tensor.dtype : tensor.dtype;
                bool stays = device is null
                    || (device.type == tensor.device_type && (device.index < 0 || device.index == tensor.device_index));
                return stays && type == tensor.dtype ? null : tensor.to(type, device ?? tensor.device);
            }

            private FieldInfo[] Fields() =>
                GetType().GetFields(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance);

            private void Replace(string name, Tensor value) =>
                Fields().FirstOrDefault(field => field.Name == name)?.SetValue(this, value);

            private bool IsTaken(string name) =>
                _modules.Any(m => m.Name == name) || _parameters.Any(p => p.Name == name) || _buffers.Any(b => b.Name == name);

            private static void Refuse(bool taken, string name)
            {
                if (taken)
                    throw new InvalidOperationException($"{name} is already registered.");
            }

            private static IEnumerable<(string, T)> Below<T>(string parent, IEnumerable<(string Name, T Value)> children) =>
                children.Select(child => ($"{parent}.{child.Name}", child.Value));

            // A tensor shared by two modules is listed under its first name; disposed ones are not listed.
            private static IEnumerable<(string, T)> Once<T>(IEnumerable<(string Name, T Value)> all) where T : Tensor =>
                all.Where(item => !item.Value.IsInvalid).DistinctBy(item => item.Value.Handle);
        }

        public interface IModule<T, TResult>
        {
            TResult call(T input1);
        }

        public abstract class Module<T, TResult> : Module, IModule<T, TResult>
        {
            protected Module(string name) : base(name)
            {
            }

            public abstract TResult forward(T input);

            public TResult call(T input) => forward(input);
        }
    }
}

/// <summary>Moving modules; the result is the module itself.</summary>
public static class ModuleExtensionMethods
{
    public static T to<T>(this T module, torch.Device device, bool non_blocking = false) where T : torch.nn.Module =>
        (T)module._to(device, null);

    public static T to<T>(this T module, torch.ScalarType type, bool non_blocking = false) where T : torch.nn.Module =>
        (T)module._to(null, type);
}
