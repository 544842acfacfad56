using GenerativeML;
using Microsoft.ML;

namespace DetectorService;

/// <summary>What a pump's sensors read.</summary>
public sealed class Reading
{
    public float Vibration { get; set; }
    public float Temperature { get; set; }
    public float Current { get; set; }
}

/// <summary>What the detector says of it.</summary>
public sealed class Verdict
{
    public float Score { get; set; }

    /// <summary>Whether it is strange.</summary>
    public bool PredictedLabel { get; set; }

    /// <summary>The share of ordinary readings that score as high or higher.</summary>
    public float PValue { get; set; }

    /// <summary>The sensors' shares in the score.</summary>
    public float[] Why { get; set; } = [];
}

/// <summary>A small detector.</summary>
public static class Detector
{
    /// <summary>Trains one on simulated readings, and puts it where the service looks for it.</summary>
    public static void Train(string path, int rows, int seed = 1, int epochs = 20)
    {
        var ml = new MLContext(seed);
        IDataView readings = ml.Data.LoadFromEnumerable(Simulate(rows, seed));
        ITransformer detector = Fit(ml, readings, epochs);
        // Renamed when it is complete, so that nobody reads half of it.
        ml.Model.Save(detector, readings.Schema, path + ".new");
        File.Move(path + ".new", path, overwrite: true);
    }

    /// <summary>Trains one.</summary>
    public static ITransformer Fit(MLContext ml, IDataView readings, int epochs = 20) =>
        ml.Transforms.Concatenate("Features", "Vibration", "Temperature", "Current")
            .Append(ml.AnomalyDetection.Trainers.Autoencoder(new()
            {
                Contamination = 0.01, FeatureScoreColumnName = "Why", PValueColumnName = "PValue", Epochs = epochs,
            }))
            .Fit(readings);

    /// <summary>A pump at loads from 0 to 1: under load it shakes, gets warm and draws current.</summary>
    public static IEnumerable<Reading> Simulate(int rows, int seed)
    {
        var random = new Random(seed);
        for (int i = 0; i < rows; i++)
        {
            float load = random.NextSingle();
            yield return new()
            {
                Vibration = load + 0.05f * random.NextSingle(), Temperature = 40 + 30 * load + random.NextSingle(),
                Current = 0.4f + load * load + 0.05f * random.NextSingle(),
            };
        }
    }
}
