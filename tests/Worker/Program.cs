// GenerativeML.TestWorker <folder> <result>: trains from the newest checkpoint in <folder>, or from the start, and
// writes the model to <result> when it is done. Prints a line when training begins and for each checkpoint's worth of
// steps.
// GenerativeML.TestWorker ranks <folder> <result> <epochs> <seconds> [<width>]: the same by all processes that mpirun started,
// which wait so long for each other; each prints its number and process id, how its memory grew, and why it ended.
// GenerativeML.TestWorker describe: says what it computes with.
// GenerativeML.TestWorker score: see Scoring.
// GenerativeML.TestWorker leave <milliseconds> <training|starting|scoring|generating>: ends so long after a thread of its own has
// begun to do that.
// GenerativeML.TestWorker nested: ends while a thread of its own, which is done with an inner computation, is in an
// outer one, and prints a line in half a second.
// GenerativeML.TestWorker recur: see Recurring.
// GenerativeML.TestWorker allocate <kept|disposed|mallopt>: see Allocation.
using GenerativeML;
using GenerativeML.Tests;
using Microsoft.ML;
using Microsoft.ML.Data;

if (args[0] == "score")
{
    GenerativeML.TestWorker.Scoring.Run();
    return;
}

if (args[0] == "ranks")
{
    GenerativeML.TestWorker.Ranks.Run(args[1], args[2], int.Parse(args[3]), double.Parse(args[4], System.Globalization.CultureInfo.InvariantCulture),
        args.Length > 5 ? int.Parse(args[5], System.Globalization.CultureInfo.InvariantCulture) : 0);
    return;
}

if (args[0] == "describe")
{
    Console.WriteLine(RuntimeDiagnostics.Describe());
    return;
}

if (args[0] == "leave")
{
    var began = new ManualResetEventSlim();
    var signalling = new TrainingContext
    {
        Seed = 1,
        Device = ComputeDevice.Cpu,
        FallbackToCpu = false,
        ReportInterval = TimeSpan.Zero,
        Progress = new GenerativeML.TestWorker.Signal(began),
    };
    var many = new ArrayRows(20_000, 64, (i, j) => MathF.Sin(i * (j + 1)));
    Action work = args[2] switch
    {
        "training" => () => VectorFit.Fit(
            many, AutoencoderTrainer.Family,
            new AutoencoderOptions { Epochs = 100_000, BatchSize = 512, HiddenLayers = [512, 512] }, signalling),
        // Its starts are tried before the first step.
        "starting" => () =>
        {
            began.Set();
            VectorFit.Fit(
                many, GaussianMixtureTrainer.Family, new GaussianMixtureOptions { Starts = 10_000, Components = 10 }, signalling);
        },
        "generating" => () =>
        {
            var ml = new MLContext(seed: 1);
            IDataView table = ml.Data.LoadFromEnumerable(Enumerable.Range(0, 400).Select(
                i => new GenerativeML.TestWorker.Cells { Number = MathF.Sin(i), Whole = i % 7 }));
            TabularTransformer model = ml.Generative.TabularVae(new TabularVaeOptions { Epochs = 2 }).Fit(table);
            began.Set();
            while (true)
                _ = model.Generate(20_000).GetColumn<float>("Number").Sum();
        },
        _ => () =>
        {
            TrainedVector model = VectorFit.Fit(
                many, AutoencoderTrainer.Family,
                new AutoencoderOptions { Epochs = 1, ScoreColumnName = "Score" }, signalling with { Progress = null }).Model;
            var block = new RowBlock([new RowField("Features", FieldKind.Single, 64)], 64);
            float[] scores = new float[64];
            began.Set();
            while (true)
            {
                model.Compute(block, 64, new() { Score = scores });
                model.Dispose(); // so that sessions are made, too
            }
        },
    };
    var training = new Thread(() => work()) { IsBackground = true };
    training.Start();
    began.Wait();
    Thread.Sleep(int.Parse(args[1], System.Globalization.CultureInfo.InvariantCulture));
    return;
}

if (args[0] == "nested")
{
    var inside = new ManualResetEventSlim();
    var computing = new Thread(() =>
    {
        using IDisposable outer = RunningComputations.Enter();
        RunningComputations.Enter().Dispose();
        inside.Set();
        Thread.Sleep(500);
        Console.WriteLine("computed");
        RunningComputations.StopIfExiting();
    })
    {
        IsBackground = true,
    };
    computing.Start();
    inside.Wait();
    return;
}

if (args[0] == "recur")
{
    GenerativeML.TestWorker.Recurring.Run();
    return;
}

if (args[0] == "allocate")
{
    GenerativeML.TestWorker.Allocation.Run(args[1]);
    return;
}

string folder = args[0], result = args[1];
var options = new AutoencoderOptions
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
using TrainedVector model = VectorFit.Fit(rows, AutoencoderTrainer.Family, options, context).Model;
AtomicFile.Write(result, model.Save);
Console.WriteLine("done");
