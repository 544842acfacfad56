using System.IO.Compression;
using GenerativeML.TestData;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Hostile;

/// <summary>Damaged saved models, and ML.NET's loader.</summary>
internal sealed class HostileModels
{
    private const int Width = 6;

    /// <summary>What loading any model takes, however small: ML.NET's catalog, temporary files, the network.</summary>
    private const int AllocationPerByte = 64;

    private readonly MLContext _ml = new(seed: 1);
    private readonly GeneratedRows _rows;
    private readonly byte[] _zip;

    /// <summary>Saves a sound model: a normaliser and a detector, of so many features.</summary>
    public HostileModels(Func<MLContext, IEstimator<ITransformer>>? detector = null, int width = Width)
    {
        _rows = new(64, width);
        detector ??= ml => ml.AnomalyDetection.Trainers.Autoencoder(new AutoencoderOptions { Epochs = 1, Seed = 1 });
        using TransformerChain<ITransformer> model = _ml.Transforms.NormalizeMeanVariance("Features").Append(detector(_ml)).Fit(_rows);
        using var stream = new MemoryStream();
        _ml.Model.Save(model, _rows.Schema, stream);
        _zip = stream.ToArray();
    }

    /// <summary>
    /// Damage to one of this package's own files in a sound zip: what is not sound is a FormatException in the end.
    /// </summary>
    /// <param name="extension">Which file: <c>.json</c> or <c>.safetensors</c>.</param>
    public HostileRun Own(string extension)
    {
        byte[] original = Entry(extension);
        FileMutator mutator = extension == ".json" ? FileMutator.Json([original]) : FileMutator.Safetensors([original]);
        return new($"{extension} in models", number => WithEntry(extension, mutator.Damage(number)), Use)
        {
            IsRefusal = e => Causes(e).Any(cause => cause is FormatException),
            AllocationPerByte = AllocationPerByte,
        };
    }

    /// <summary>
    /// Damage anywhere: to the zip, to ML.NET's files in it, to this package's. Which exception it is, is up to ML.NET.
    /// </summary>
    public HostileRun Whole() => new("model zips", FileMutator.Zip([_zip]).Damage, Use)
    {
        IsRefusal = e => !Causes(e).Any(cause => cause is OutOfMemoryException),
        AllocationPerByte = AllocationPerByte,
    };

    /// <summary>Loads a model and scores with it.</summary>
    private void Use(byte[] file)
    {
        ITransformer model = _ml.Model.Load(new MemoryStream(file), out _);
        using var disposable = model as IDisposable;
        IDataView scored;
        try
        {
            scored = model.Transform(_rows);
        }
        catch (ArgumentOutOfRangeException)
        {
            return; // a sound model, for a column of another name
        }
        if (scored.Schema.GetColumnOrNull("Score") is not DataViewSchema.Column column)
            return; // the damage took the detector off the chain
        using DataViewRowCursor cursor = scored.GetRowCursor([column]);
        ValueGetter<float> get = cursor.GetGetter<float>(column);
        for (float score = 0; cursor.MoveNext();)
            get(ref score);
    }

    private byte[] Entry(string extension)
    {
        using var zip = new ZipArchive(new MemoryStream(_zip), ZipArchiveMode.Read);
        using Stream entry = zip.Entries.Single(e => e.Name.EndsWith(extension, StringComparison.Ordinal)).Open();
        using var content = new MemoryStream();
        entry.CopyTo(content);
        return content.ToArray();
    }

    private byte[] WithEntry(string extension, byte[] content)
    {
        var stream = new MemoryStream();
        stream.Write(_zip);
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Update, leaveOpen: true))
        {
            ZipArchiveEntry old = zip.Entries.Single(e => e.Name.EndsWith(extension, StringComparison.Ordinal));
            string name = old.FullName;
            old.Delete();
            using Stream entry = zip.CreateEntry(name, CompressionLevel.Fastest).Open();
            entry.Write(content);
        }
        return stream.ToArray();
    }

    /// <summary>
    /// An exception and what caused it: ML.NET says what it was loading, and this package why it could not.
    /// </summary>
    private static IEnumerable<Exception> Causes(Exception e)
    {
        for (Exception? cause = e; cause is not null; cause = cause.InnerException)
            yield return cause;
    }
}
