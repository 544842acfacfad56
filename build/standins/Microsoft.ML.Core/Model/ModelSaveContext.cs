using System.Text;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>Where a component saves itself: a folder of the archive, with an entry for header and small values.</summary>
public sealed class ModelSaveContext : IDisposable
{
    private readonly MemoryStream _content = new();
    private ModelHeader? _header;

    internal ModelSaveContext(RepositoryWriter repository, string directory)
    {
        Repository = repository;
        Directory = directory;
        Writer = new BinaryWriter(_content, Encoding.UTF8);
    }

    internal RepositoryWriter Repository { get; }

    internal string Directory { get; }

    internal BinaryWriter Writer { get; }

    public void Dispose() => Writer.Dispose();

    internal static void SaveModel<T>(RepositoryWriter repository, T value, string directory)
        where T : class
    {
        if (value is not ICanSaveModel component)
            return;
        using ModelSaveContext ctx = new(repository, directory);
        component.Save(ctx);
        ctx.Done();
    }

    internal void SaveModel<T>(T value, string name)
        where T : class
        => SaveModel(Repository, value, Path.Combine(Directory ?? "", name));

    internal void CheckAtModel() => Repository.Context.Check(_content.Length == 0, "The header comes first");

    internal void SetVersionInfo(VersionInfo ver) => _header = ModelHeader.From(ver);

    internal void SaveBinaryStream(string name, Action<BinaryWriter> action)
        => Repository.WriteEntry(Directory, name, stream =>
        {
            using BinaryWriter writer = new(stream, Encoding.UTF8, leaveOpen: true);
            action(writer);
        });

    private void Done()
    {
        Repository.Context.Check(_header is { ModelSignature: not 0 }, "A component was saved without its header");
        Writer.Flush();
        Repository.WriteEntry(Directory, ModelLoadContext.ModelStreamName, stream =>
        {
            using BinaryWriter writer = new(stream, Encoding.UTF8, leaveOpen: true);
            _header.Value.Write(writer);
            writer.Flush();
            _content.WriteTo(stream);
        });
    }
}
