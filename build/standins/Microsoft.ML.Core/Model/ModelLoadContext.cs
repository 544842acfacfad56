using System.Reflection;
using System.Text;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

internal delegate void SignatureLoadModel(ModelLoadContext ctx);

/// <summary>Where a component loads itself from; the counterpart of <see cref="ModelSaveContext"/>.</summary>
internal sealed class ModelLoadContext : IDisposable
{
    public const string ModelStreamName = "Model.key";

    private ModelLoadContext(RepositoryReader repository, Stream stream, string directory)
    {
        Repository = repository;
        Directory = directory;
        Reader = new BinaryReader(stream, Encoding.UTF8);
        Header = ModelHeader.Read(Reader, repository.Context);
    }

    public RepositoryReader Repository { get; }

    public string Directory { get; }

    public BinaryReader Reader { get; }

    public ModelHeader Header { get; }

    public void Dispose() => Reader.Dispose();

    public static bool LoadModelOrNull<TRes, TSig>(
        IHostEnvironment env, out TRes result, RepositoryReader repository, string directory)
        where TRes : class
    {
        result = null;
        using Stream stream = repository.OpenEntryOrNull(directory, ModelStreamName);
        if (stream is null)
            return false;

        using ModelLoadContext ctx = new(repository, stream, directory);
        // The archive names an assembly and its code runs: a model file is code to ML.NET.
        if (ctx.Header.LoaderAssemblyName is { Length: > 0 } assembly)
            env.ComponentCatalog.RegisterAssembly(Assembly.Load(assembly));
        result = env.ComponentCatalog.CreateInstanceOrNull<TRes>(env, typeof(TSig), ctx.Header.LoaderSignature, ctx)
            ?? throw env.ExceptDecode($"No loader of '{ctx.Header.LoaderSignature}' is known, which '{directory}' asks for");
        return true;
    }

    public static void LoadModel<TRes, TSig>(
        IHostEnvironment env, out TRes result, RepositoryReader repository, string directory)
        where TRes : class
    {
        if (!LoadModelOrNull<TRes, TSig>(env, out result, repository, directory))
            throw env.ExceptDecode($"The file has no model in '{directory}'");
    }

    public void LoadModel<TRes, TSig>(IHostEnvironment env, out TRes result, string name)
        where TRes : class
        => LoadModel<TRes, TSig>(env, out result, Repository, Path.Combine(Directory ?? "", name));

    public void CheckAtModel(VersionInfo ver) => Header.Check(ver, Repository.Context);

    public bool TryLoadBinaryStream(string name, Action<BinaryReader> action)
    {
        Stream stream = Repository.OpenEntryOrNull(Directory, name);
        if (stream is null)
            return false;
        using BinaryReader reader = new(stream, Encoding.UTF8);
        action(reader);
        return true;
    }
}
