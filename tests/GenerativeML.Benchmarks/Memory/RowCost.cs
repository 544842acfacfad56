using System.Diagnostics;
using GenerativeML.TestData;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>
/// What scoring a row costs among many and alone. The two alternate, and medians are compared: the machine may be busy
/// with other things, and is so for both.
/// </summary>
/// <param name="InBatch">Seconds for a row through <c>Transform</c>.</param>
/// <param name="Alone">Seconds for a row through a <c>PredictionEngine</c>.</param>
internal sealed record RowCost(double InBatch, double Alone)
{
    private const int Rounds = 7, TrainingRows = 10_000, RowsInBatch = 100_000, RowsAlone = 20_000;

    /// <summary>Measures with a detector of generated rows.</summary>
    public static RowCost Measure(int width)
    {
        var ml = new MLContext(seed: 1);
        using VectorTransformer model = MemoryMeasurement.Fit(ml, TrainingRows, width);
        var inBatch = new List<double>();
        var alone = new List<double>();
        for (int round = 0; round <= Rounds; round++)
        {
            double batch = Seconds(() => MemoryMeasurement.Transform(model, RowsInBatch, width)) / RowsInBatch;
            double single = Seconds(() => OneByOne(ml, model, RowsAlone, width)) / RowsAlone;
            if (round == 0)
                continue; // warming up
            inBatch.Add(batch);
            alone.Add(single);
        }
        return new RowCost(Median(inBatch), Median(alone));
    }

    private static void OneByOne(MLContext ml, VectorTransformer model, long rows, int width)
    {
        var source = new GeneratedRows(rows, width);
        SchemaDefinition schema = SchemaDefinition.Create(typeof(VectorRow));
        schema[nameof(VectorRow.Features)].ColumnType = source.Schema["Features"].Type;
        // Not disposed of here: that would dispose of the model, too.
        var engine = ml.Model.CreatePredictionEngine<VectorRow, Verdict>(model, inputSchemaDefinition: schema);
        var row = new VectorRow { Features = new float[width] };
        var verdict = new Verdict();
        for (long i = 0; i < rows; i++)
        {
            source.Compute(i, row.Features);
            engine.Predict(row, ref verdict);
        }
    }

    private static double Seconds(Action work)
    {
        long start = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private sealed class Verdict
    {
        public float Score { get; set; }

        public bool PredictedLabel { get; set; }
    }
}
