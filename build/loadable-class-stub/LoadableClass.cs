namespace Microsoft.ML;

/// <summary>The name of a way to make an object: from a saved model. Only its type is used.</summary>
public delegate void SignatureLoadModel(object context);

/// <summary>Names a class that can load a model, for ML.NET's catalog of components.</summary>
[AttributeUsage(AttributeTargets.Assembly, AllowMultiple = true)]
public sealed class LoadableClassAttribute(
    Type instType, Type loaderType, Type? argType, Type sigType, string userName, params string[] loadNames) : Attribute
{
    /// <summary>What is loaded.</summary>
    public Type InstanceType { get; } = instType;

    /// <summary>The class whose <c>Create</c> loads it.</summary>
    public Type LoaderType { get; } = loaderType;

    /// <summary>The type of the loader's options, or null for none.</summary>
    public Type? ArgType { get; } = argType;

    /// <summary>The delegate type that stands for the way of loading.</summary>
    public Type SignatureType { get; } = sigType;

    /// <summary>The name that people see.</summary>
    public string UserName { get; } = userName;

    /// <summary>The names by which a saved model calls the loader.</summary>
    public string[] LoadNames { get; } = loadNames;
}
