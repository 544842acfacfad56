using System.Diagnostics;
using System.IO.Compression;
using System.Text.Json.Nodes;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>
/// Scores of a trained autoencoder, of rows one at a time through a <c>PredictionEngine</c> or of many through
/// <c>Transform</c>; elsewhere by the same weights, which come from the saved model.
/// </summary>
internal sealed class ScoringWork : SpeedWork
{
    private const int TrainingRows = 10_000, Shown = 500;

    // A detector's defaults, as its options' docs give them; its level of noise in scoring is a share of the highest.
    private const int DefaultMembers = 2;
    private const double DefaultNoise = 1.5;

    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(0.7);

    private readonly SpeedData _data;
    private readonly Lazy<VectorTransformer> _model;

    public ScoringWork(SpeedData data) => (_data, _model) = (data, new(Train));

    /// <summary>The detector's options, but for the columns.</summary>
    public required AutoencoderOptions Options { get; init; }

    /// <summary>Rows that are scored.</summary>
    public required int Rows { get; init; }

    /// <summary>How many rows others score at once; one: by itself, on all sides.</summary>
    public required int Batch { get; init; }

    /// <summary>All of them: of a plain autoencoder, and of the default detector with its stored rows.</summary>
    public static IEnumerable<SpeedWork> All(SpeedData data)
    {
        var plain = new AutoencoderOptions
        {
            HiddenLayers = [128],
            LatentDimension = 16,
            Activation = Activation.Relu,
            EnsembleSize = 1,
            InputNoise = 0,
            InputMasking = 0,
            ReferenceRows = 0,
            Epochs = 2,
        };
        var usual = new AutoencoderOptions { Epochs = 2 };
        return
        [
            Of("score-one", "a row by itself, 32-128-16-128-32", plain, 4, 10, rows: 5_000, batch: 1),
            Of("score-one-detector", "a row by itself, the default detector", usual, 4, 10, rows: 1_000, batch: 1),
            Of("score-bulk", "a row among 1,000,000, 32-128-16-128-32", plain, 1.3, 1.5, rows: 1_000_000, batch: 4096),
            Of("score-bulk-detector", "a row among 50,000, the default detector", usual, 1.3, 1.5, rows: 50_000, batch: 1024),
        ];

        ScoringWork Of(
            string name, string title, AutoencoderOptions options, double torchSharp, double pyTorch, int rows,
            int batch) =>
            new(data)
            {
                Name = name,
                Title = title,
                Wanted = new Dictionary<string, double> { ["TorchSharp"] = torchSharp, ["PyTorch"] = pyTorch },
                Options = options,
                Rows = rows,
                Batch = batch,
            };
    }

    /// <inheritdoc />
    public override SpeedSample Ours(int seed)
    {
        float[] scores = new float[Rows];
        float[][] rows = _data.Table(Rows);
        IDataView view = Batch == 1 ? _data.View(rows) : _data.Stream(rows);
        VectorTransformer model = _model.Value;
        double seconds = Batch == 1 ? OneByOne(model, view, rows, scores) : Together(model, view, scores);
        return SpeedSample.Of(seconds / Rows) with { Scores = [.. scores.Take(Shown).Select(s => (double)s)] };
    }

    /// <inheritdoc />
    public override SpeedSample Theirs(SpeedPeer peer, PeerSetting setting, int seed)
    {
        var command = new JsonObject
        {
            ["work"] = "score",
            ["data"] = _data.RowsFile($"rows-{Rows}.safetensors", _data.Table(Rows)),
            ["model"] = _data.File($"{Name}.safetensors", WriteWeights),
            ["activation"] = Options.Activation.ToString().ToLowerInvariant(),
            ["members"] = Options.EnsembleSize ?? DefaultMembers,
            ["masks"] = Options.InputMasking != 0,
            ["level"] = Options.InputNoise == 0 ? null : Math.Log(DefaultNoise / 7.5),
            ["count"] = Rows,
            ["batch"] = Batch,
            ["shown"] = Shown,
        };
        SpeedAnswer answer = peer.Ask(command, setting, seed);
        return SpeedSample.Of(answer.Seconds) with { Scores = answer.Scores };
    }

    /// <inheritdoc />
    public override IReadOnlyList<Agreement> Compare(
        IReadOnlyList<SpeedSample> ours, IReadOnlyList<SpeedSample> theirs) =>
        [Agreement.OfScores("scores", ours[^1].Scores, theirs[^1].Scores)];

    /// <inheritdoc />
    public override void Dispose()
    {
        if (_model.IsValueCreated)
            _model.Value.Dispose();
        base.Dispose();
    }

    private static double OneByOne(VectorTransformer model, IDataView view, float[][] rows, float[] scores)
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(VectorRow));
        schema[nameof(VectorRow.Features)].ColumnType = view.Schema[nameof(VectorRow.Features)].Type;
        // Not disposed of here: that would dispose of the model, too.
        PredictionEngine<VectorRow, Verdict> engine =
            new MLContext().Model.CreatePredictionEngine<VectorRow, Verdict>(model, inputSchemaDefinition: schema);
        var row = new VectorRow();
        var verdict = new Verdict();
        // All rows take less time than the runtime waits before it compiles what is called often for speed, twice.
        for (long begun = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(begun) < WarmUp;)
            Pass();
        long start = Stopwatch.GetTimestamp();
        Pass();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;

        void Pass()
        {
            for (int i = 0; i < rows.Length; i++)
            {
                row.Features = rows[i];
                engine.Predict(row, ref verdict);
                scores[i] = verdict.Score;
            }
        }
    }

    private static double Together(VectorTransformer model, IDataView view, float[] scores)
    {
        long start = Stopwatch.GetTimestamp();
        IDataView scored = model.Transform(view);
        DataViewSchema.Column column = scored.Schema[nameof(Verdict.Score)];
        using DataViewRowCursor cursor = scored.GetRowCursor([column]);
        ValueGetter<float> get = cursor.GetGetter<float>(column);
        for (int i = 0; cursor.MoveNext(); i++)
            get(ref scores[i]);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private void WriteWeights(string path)
    {
        using var saved = new MemoryStream();
        new MLContext().Model.Save(_model.Value, null, saved);
        using var archive = new ZipArchive(saved);
        ZipArchiveEntry entry =
            archive.Entries.Single(e => e.Name.EndsWith("weights.safetensors", StringComparison.Ordinal));
        entry.ExtractToFile(path);
    }

    private VectorTransformer Train() => new MLContext(seed: 0).AnomalyDetection.Trainers.Autoencoder(Options)
        .Fit(_data.View(_data.Table(TrainingRows)));

    private sealed class Verdict
    {
        public float Score { get; set; }
    }
}
