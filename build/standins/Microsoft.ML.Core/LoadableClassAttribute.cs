using System.Reflection;

namespace Microsoft.ML;

[AttributeUsage(AttributeTargets.Assembly, AllowMultiple = true)]
internal sealed class LoadableClassAttribute(
    Type instType, Type loaderType, Type argType, Type sigType, string userName, params string[] loadNames) : Attribute
{
    public LoadableClassAttribute(Type instType, Type argType, Type sigType, string userName, params string[] loadNames)
        : this(instType, instType, argType, sigType, userName, loadNames)
    {
    }

    public Type InstanceType { get; } = instType;

    /// <summary>The type with the method or constructor that makes the instance.</summary>
    public Type LoaderType { get; } = loaderType;

    public Type ArgType { get; } = argType;

    public Type SigType { get; } = sigType;

    public string[] LoadNames { get; } = loadNames.Length > 0 ? loadNames : [userName];

    /// <summary>The parameter types of the signature, which those of the maker accept.</summary>
    public Type[] CtorTypes => [.. SigType.GetMethod("Invoke").GetParameters().Select(p => p.ParameterType)];
}
