using System.Reflection;

namespace Microsoft.ML.Runtime;

/// <summary>What loads a saved component, found by the attributes on the assemblies that models name.</summary>
public sealed class ComponentCatalog
{
    private const BindingFlags Any = BindingFlags.Public | BindingFlags.NonPublic;

    private readonly Dictionary<(string Name, Type Signature), Loader> _loaders = [];
    private readonly HashSet<string> _assemblies = [];

    internal ComponentCatalog()
    {
    }

    public void RegisterAssembly(Assembly assembly, bool throwOnError = true)
    {
        lock (_assemblies)
        {
            if (!_assemblies.Add(assembly.FullName))
                return;
            foreach (LoadableClassAttribute attribute in assembly.GetCustomAttributes<LoadableClassAttribute>())
            {
                Loader loader = FindLoader(attribute);
                if (loader is null && throwOnError)
                    throw Contracts.Except(null, $"Nothing in {attribute.LoaderType} loads '{attribute.LoadNames[0]}'");
                foreach (string name in attribute.LoadNames)
                    _loaders.TryAdd((Key(name), attribute.SigType), loader);
            }

            // ML.NET looks through all types of a plugin for its other extension points: one that cannot be loaded,
            // such as a class that derives from one in a missing assembly, fails the model.
            if (!assembly.GetName().Name.StartsWith("Microsoft.ML", StringComparison.Ordinal))
                assembly.GetTypes();
        }
    }

    internal TRes CreateInstanceOrNull<TRes>(IHostEnvironment env, Type signature, string name, object argument)
        where TRes : class
    {
        Loader loader;
        lock (_assemblies)
        {
            if (!_loaders.TryGetValue((Key(name), signature), out loader))
                return null;
        }

        object[] arguments = loader.WantsEnvironment ? [env, argument] : [argument];
        try
        {
            return (loader.Maker is ConstructorInfo constructor
                ? constructor.Invoke(arguments)
                : loader.Maker.Invoke(null, arguments)) as TRes;
        }
        catch (TargetInvocationException ex) when (ex.InnerException?.IsMarked() == true)
        {
            throw Contracts.Except(null, ex, $"Loading '{name}' failed: {ex.InnerException.Message}");
        }
    }

    private static Loader FindLoader(LoadableClassAttribute attribute)
    {
        Type type = attribute.LoaderType;
        Type[] bare = attribute.CtorTypes;
        Type[] withEnvironment = [typeof(IHostEnvironment), .. bare];
        Loader Find(Func<Type[], MethodBase> find)
            => find(bare) is { } maker ? new(maker, WantsEnvironment: false)
                : find(withEnvironment) is { } other ? new(other, WantsEnvironment: true)
                : null;

        Loader constructor = attribute.InstanceType == type
            ? Find(types => type.GetConstructor(BindingFlags.Instance | Any, null, types, null))
            : null;
        Loader create = Find(types => type.GetMethod("Create", BindingFlags.Static | Any, null, types, null) is { } method
            && attribute.InstanceType.IsAssignableFrom(method.ReturnType) ? method : null);
        if (constructor is null || create is null)
            return constructor ?? create;
        if (constructor.Access == create.Access)
            throw Contracts.Except(null, $"{type} has both a constructor and a Create method to load it by");
        return constructor.Access > create.Access ? constructor : create;
    }

    private static string Key(string name) => name.ToLowerInvariant();

    private sealed record Loader(MethodBase Maker, bool WantsEnvironment)
    {
        public MethodAttributes Access => Maker.Attributes & MethodAttributes.MemberAccessMask;
    }
}
