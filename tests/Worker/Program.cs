// GenerativeML.TestWorker <folder> <result>: trains from the newest checkpoint in <folder>, or from the start, and
// writes the model to <result> when it is done. Prints a line when training begins and for each checkpoint's worth of
// steps.
// GenerativeML.TestWorker describe: says what it computes with.
// GenerativeML.TestWorker score: see Scoring.
using GenerativeML;
using GenerativeML.Tests;

if (args[0] == "score")
{
    GenerativeML.TestWorker.Scoring.Run();
    return;
}

if (args[0] == "describe")
{
    Console.WriteLine(RuntimeDiagnostics.Describe());
    return;
}

string folder = args[0], result = args[1];
var options = new AutoencoderDetectorOptions
{
    Epochs = 12,
    BatchSize = 16,
    HiddenLayers = [12],
    Dropout = 0.1,
    BatchNormalization = true,
    ValidationFraction = 0.1,
    CacheBudgetBytes = long.Parse(args[2], System.Globalization.CultureInfo.InvariantCulture),
    Checkpoint = folder.Length == 0 ? null : new CheckpointOptions(folder) { Every = 5, Keep = 2 },
};
var rows = new ArrayRows(400, 5, (i, j) => (i * (31 + 6 * j) % 127 - 60) / 30f);
var context = new TrainingContext { Seed = 4, Device = ComputeDevice.Cpu, FallbackToCpu = false };

Console.WriteLine("training");
using TrainedAutoencoder model = AutoencoderFit.Fit(rows, options, AutoencoderUse.Detect, context);
AtomicFile.Write(result, stream => model.Save(stream));
Console.WriteLine("done");
