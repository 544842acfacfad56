using GenerativeML.TestData;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Hostile;

/// <summary>Damaged zips of saved models, options and weights in them included, and ML.NET's loader.</summary>
internal static class HostileModels
{
    private const int Width = 6;

    /// <summary>Loads damaged models, and scores with those that load.</summary>
    public static HostileRun Loading()
    {
        var ml = new MLContext(seed: 1);
        var rows = new GeneratedRows(64, Width);
        return new("model zips", FileMutator.Zip([Save(ml, rows)]).Damage, file => Use(ml, rows, file))
        {
            IsRefusal = IsRefusal,
            // What loading any model takes, however small: ML.NET's catalog, temporary files, the network.
            AllocationPerByte = 64,
        };
    }

    private static byte[] Save(MLContext ml, IDataView rows)
    {
        using TransformerChain<AutoencoderTransformer> model = ml.Transforms.NormalizeMeanVariance("Features")
            .Append(ml.AnomalyDetection.Trainers.Autoencoder(new AutoencoderTrainer.Options { Epochs = 1, Seed = 1 }))
            .Fit(rows);
        using var stream = new MemoryStream();
        ml.Model.Save(model, rows.Schema, stream);
        return stream.ToArray();
    }

    private static void Use(MLContext ml, IDataView rows, byte[] file)
    {
        ITransformer model = ml.Model.Load(new MemoryStream(file), out _);
        using var disposable = model as IDisposable;
        IDataView scored = model.Transform(rows);
        if (scored.Schema.GetColumnOrNull("Score") is not DataViewSchema.Column column)
            return; // the damage took the detector off the chain
        using DataViewRowCursor cursor = scored.GetRowCursor([column]);
        ValueGetter<float> get = cursor.GetGetter<float>(column);
        for (float score = 0; cursor.MoveNext();)
            get(ref score);
    }

    /// <summary>What this package says of a damaged model, and what ML.NET says of a damaged zip, chain or normaliser.</summary>
    private static bool IsRefusal(Exception e) =>
        e is FormatException or InvalidDataException or InvalidOperationException or EndOfStreamException;
}
