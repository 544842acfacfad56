using System.IO.Compression;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>A zip archive whose entries pass through files in a temporary folder, one at a time.</summary>
internal abstract class Repository : IDisposable
{
    private readonly string _folder;

    protected Repository(Stream stream, ZipArchiveMode mode, IExceptionContext context)
    {
        Context = context;
        string parent = (context as IHostEnvironmentInternal)?.TempFilePath ?? Path.GetTempPath();
        try
        {
            Archive = new ZipArchive(stream, mode, leaveOpen: true);
        }
        catch (InvalidDataException ex)
        {
            throw context.Process(new FormatException("This is no zip archive", ex));
        }

        _folder = Directory.CreateDirectory(Path.Combine(parent, "ml_dotnet_" + Path.GetRandomFileName())).FullName;
    }

    public IExceptionContext Context { get; }

    protected ZipArchive Archive { get; }

    public virtual void Dispose()
    {
        Archive.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    protected FileStream CreateTempFile()
        => new(
            Path.Combine(_folder, Path.GetRandomFileName()),
            FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);

    protected string EntryPath(string folder, string name)
    {
        string path = Path.Combine(folder ?? "", name);
        Context.CheckParam(!path.Contains(".."), nameof(name), $"'{path}' leaves the archive");
        return path;
    }
}

internal sealed class RepositoryWriter(Stream stream, IExceptionContext context)
    : Repository(stream, ZipArchiveMode.Create, context)
{
    private readonly HashSet<string> _names = [];

    public void WriteEntry(string folder, string name, Action<Stream> write)
    {
        string path = EntryPath(folder, name);
        Context.CheckParam(_names.Add(path), nameof(name), $"Duplicate entry: '{path}'");
        using FileStream file = CreateTempFile();
        write(file);
        file.Position = 0;
        using Stream entry = Archive.CreateEntry(path).Open();
        file.CopyTo(entry);
    }
}

internal sealed class RepositoryReader(Stream stream, IExceptionContext context)
    : Repository(stream, ZipArchiveMode.Read, context)
{
    /// <summary>The entry's content, or null where there is no such entry.</summary>
    public Stream OpenEntryOrNull(string folder, string name)
    {
        string path = EntryPath(folder, name);
        ZipArchiveEntry entry = Archive.GetEntry(path) ?? Archive.GetEntry(path.Replace('/', '\\'));
        if (entry is null)
            return null;
        FileStream file = CreateTempFile();
        try
        {
            using (Stream content = entry.Open())
                content.CopyTo(file);
            file.Position = 0;
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }
}
