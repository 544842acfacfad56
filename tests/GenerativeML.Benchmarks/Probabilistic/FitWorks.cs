using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using DataFiles;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>The fits that are measured, and the rows that both sides read, in a folder that is deleted at the end.</summary>
internal sealed class FitWorks(int rows) : IDisposable
{
    private const int Iterations = 20;

    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Expectation maximisation of five full components.</summary>
    public FitWork Mixture()
    {
        const int components = 5, width = 10;
        var random = new Random(1);
        double[][] means = [.. Enumerable.Range(0, components).Select(_ => Draw(random, width, 2))];
        double[][] factors = [.. Enumerable.Range(0, components).Select(_ => Draw(random, width * width, 0.35))];
        float[][] data = [.. Enumerable.Range(0, rows).Select(_ =>
        {
            int c = random.Next(components);
            double[] noise = Draw(random, width, 1);
            return Enumerable.Range(0, width).Select(j =>
                (float)(means[c][j] + noise.Select((value, i) => value * factors[c][j * width + i]).Sum())).ToArray();
        })];
        return Vectors("mixture", $"{components} full components of {width} features, {Iterations} iterations", "sklearn", data, 0.01,
            new() { ["components"] = components, ["iterations"] = Iterations },
            (ml, view) => ml.Generative.GaussianMixture(new()
            {
                Components = components, Epochs = Iterations, Tolerance = 0, ScoreColumnName = "Score",
            }).Fit(view), (_, model, view) => MeanScore(model, view));
    }

    /// <summary>Baum-Welch of three states.</summary>
    public FitWork Markov()
    {
        const int states = 3;
        var random = new Random(1);
        int state = 0;
        float[][] data = [.. Enumerable.Range(0, rows).Select(_ =>
        {
            state = random.NextDouble() < 0.95 ? state : random.Next(states);
            double[] noise = Draw(random, 2, 1);
            return new[] { (float)(1.5 * state + noise[0]), (float)(state % 2 + (0.5 + 0.5 * state) * noise[1] + 0.5 * noise[0]) };
        })];
        return Vectors("markov", $"{states} states, full covariances of 2 features, one sequence, {Iterations} iterations", "hmmlearn", data, 0.01,
            new() { ["states"] = states, ["iterations"] = Iterations },
            (ml, view) => ml.Generative.HiddenMarkov(new()
            {
                States = states, Epochs = Iterations, Tolerance = 0, ScoreColumnName = "Score",
            }).Fit(view), (_, model, view) => MeanScore(model, view));
    }

    /// <summary>An epoch of a restricted Boltzmann machine.</summary>
    public FitWork Boltzmann()
    {
        const int hidden = 256, width = 64, batch = 100, patterns = 10;
        var random = new Random(1);
        double[][] ones = [.. Enumerable.Range(0, patterns).Select(_ => Draw(random, width, 2).Select(z => 1 / (1 + Math.Exp(-z))).ToArray())];
        float[][] data = [.. Enumerable.Range(0, rows).Select(_ =>
        {
            double[] pattern = ones[random.Next(patterns)];
            return pattern.Select(p => random.NextDouble() < p ? 1f : 0f).ToArray();
        })];
        float[][] some = data[..Math.Min(rows, 10_000)], flipped = [.. some.Select(row => Flipped(row, random.Next(width)))];
        return Vectors("boltzmann", $"{width} binary units and {hidden} hidden ones, persistent chains, an epoch in batches of {batch}", "sklearn", data, 0.5,
            new() { ["hidden"] = hidden, ["batch"] = batch },
            (ml, view) => ml.Generative.RestrictedBoltzmannMachine(new()
            {
                HiddenUnits = hidden, VisibleUnits = VisibleUnits.Binary, BatchSize = batch, Epochs = 1,
            }).Fit(view),
            // One random unit given all others, times their number, as scikit-learn has it.
            (ml, model, _) => Scores(model, VectorRows.View(ml, some, width))
                .Zip(Scores(model, VectorRows.View(ml, flipped, width)), (own, other) => width * Math.Log(1 + Math.Exp((double)own - other)))
                .Average());
    }

    /// <summary>Edges and probabilities of the first variables of a network that rows are drawn from.</summary>
    public FitWork Network(string bif)
    {
        const int columns = 18, parents = 4;
        string text = Path.Combine(_folder, "network.bif"), table = Path.Combine(_folder, "network.csv");
        using (Stream file = File.OpenRead(bif))
        using (Stream whole = bif.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(file, CompressionMode.Decompress) : file)
        using (Stream copy = File.Create(text))
            whole.CopyTo(copy);
        BayesianNetwork truth = BayesianNetwork.ReadBif(text);
        File.WriteAllLines(table, truth.Sample(rows, seed: 1).Prepend(truth.Names).Select(row => string.Join(',', row.Take(columns))));
        TableFile read = TableFile.Open(table);
        IDataView? view = null;
        return new FitWork
        {
            Name = "network",
            Title = $"hill climbing by BIC, at most {parents} parents, and probabilities of {Math.Min(columns, read.Names.Length)} columns",
            Module = "pgmpy",
            Wanted = new Dictionary<string, double> { ["pgmpy"] = 1 },
            Slack = 0.001,
            Command = new() { ["work"] = "network", ["data"] = table, ["rows"] = rows, ["parents"] = parents },
            Fit = ml => ml.Generative.BayesianNetwork(new BayesianNetworkOptions
            {
                Score = StructureScore.Bic, MaxParents = parents, ScoreColumnName = "Score",
            }).Fit(view ??= Held(ml, read)),
            Loss = (ml, model) => MeanScore(model, view!)
                + ((BayesianNetworkTransformer)model).Network.FreeParameters * Math.Log(rows) / 2 / rows,
        };
    }

    private FitWork Vectors(
        string name, string title, string module, float[][] data, double slack, JsonObject command,
        Func<MLContext, IDataView, IDisposable> fit, Func<MLContext, IDisposable, IDataView, double> loss)
    {
        int width = data[0].Length;
        string path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, MemoryMarshal.AsBytes<float>(data.SelectMany(row => row).ToArray()));
        (command["work"], command["data"], command["rows"], command["columns"]) = (name, path, rows, width);
        return new FitWork
        {
            Name = name,
            Title = title,
            Module = module,
            Wanted = new Dictionary<string, double> { [module] = 1 },
            Slack = slack,
            Command = command,
            Fit = ml => fit(ml, VectorRows.View(ml, data, width)),
            Loss = (ml, model) => loss(ml, model, VectorRows.View(ml, data, width)),
        };
    }

    private static float[] Flipped(float[] row, int unit) => [.. row.Select((value, i) => i == unit ? 1 - value : value)];

    // In memory, as the other side has them.
    private static IDataView Held(MLContext ml, IDataView view)
    {
        IDataView held = ml.Data.Cache(view);
        foreach (DataViewSchema.Column column in held.Schema)
            _ = held.GetColumn<string>(column).Count();
        return held;
    }

    private static double MeanScore(IDisposable model, IDataView view) => Scores(model, view).Average(s => (double)s);

    private static float[] Scores(IDisposable model, IDataView view) =>
        VectorRows.Singles(((ITransformer)model).Transform(view), "Score");

    private static double[] Draw(Random random, int count, double deviation) =>
        [.. Enumerable.Range(0, count).Select(_ =>
            deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))];
}
