using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using GenerativeML.Tests.Rows;

namespace GenerativeML.Tests.Core;

// A whole family, as CONTRIBUTING.md walks through it: options, network, trainer. It learns the plane that rows lie near,
// which principal components know in closed form: so that the test below proves more than that it runs.

/// <summary>The options of a linear factor model.</summary>
public sealed record LinearFactorsOptions : DetectorOptions
{
    /// <summary>Factors. From 1 to 65,536. Default 2.</summary>
    public int Factors { get; init; } = 2;

    private protected override OptionalColumns Supported => OptionalColumns.FeatureScore | OptionalColumns.Reconstruction;

    internal override VectorOptions Resolve(RowStatistics rows) => this with
    {
        BatchSize = BatchSize ?? 64, LearningRate = LearningRate ?? 1e-2, WeightDecay = WeightDecay ?? 0,
        Epochs = Epochs ?? rows.EpochsFor(presented: 100_000, least: 1, most: 1000),
    };

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(Factors, 1, OptionChecks.MaxWidth);
    }
}

/// <summary>Rows → factors → rows, without any bend.</summary>
internal sealed class LinearFactorsNetwork(LinearFactorsOptions options, VectorInput input)
    : VectorNetwork(input), IScorer, IReconstructor, IEncoder
{
    public int LatentDimension => options.Factors;

    public override void Declare(Layers layers)
    {
        layers.Linear("factors", Input.Width, options.Factors);
        layers.Linear("rows", options.Factors, Input.Width);
    }

    public override IReadOnlyList<LossTerm> Loss(VectorStep step)
    {
        TorchTensor error = Reconstruct(step.Weights, step.Inputs) - step.Inputs.Features;
        return [new LossTerm("reconstruction", error.Apply(Function.Square).Value.mean())];
    }

    public (T Mean, T? Deviation) Encode<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => (w.Linear("factors", rows.Features), null);

    public T Reconstruct<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => w.Linear("rows", Encode(w, rows).Mean);

    public (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T>
    {
        T error = (Reconstruct(w, rows) - rows.Features).Apply(Function.Square);
        return (error.Reduce(Reduction.Sum, 1), byFeature ? error : null);
    }
}

/// <summary>Trains a linear factor model.</summary>
public sealed class LinearFactorsTrainer : VectorTrainer<VectorTransformer>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<LinearFactorsOptions>(
        "linear factors", (options, input) => new LinearFactorsNetwork(options, input), state => new VectorTransformer(state));

    internal LinearFactorsTrainer(IHostEnvironment environment, LinearFactorsOptions options)
        : base(environment, Family, options)
    {
    }
}

[TestClass]
[DoNotParallelize]
public sealed class LinearFactorsTests
{
    [TestMethod]
    public void A_family_in_three_parts_finds_the_principal_plane_and_is_saved_and_loaded()
    {
        // Four features of two standard normal factors, (u, u, v, v), each pair with noise of deviation s of its own: the
        // two least components of the standardised rows have the variance s²/(1 + s²) each.
        const double s = 0.3;
        var random = new SplitMix64(1);
        var normal = new float[6 * 2000];
        NormalNumbers.Fill(ref random, normal);
        TableView rows = new TableView(2000).AddVector("Features", 4, row =>
        {
            ReadOnlySpan<float> n = normal.AsSpan(row * 6, 6);
            return [n[0] + (float)s * n[2], n[0] + (float)s * n[3], n[1] + (float)s * n[4], n[1] + (float)s * n[5]];
        });
        var ml = new MLContext(seed: 1);
        var options = new LinearFactorsOptions { ScoreColumnName = "Score", LatentColumnName = "Latent", Epochs = 40 };
        using VectorTransformer model = new LinearFactorsTrainer(MLNetInternals.EnvironmentOf(ml.AnomalyDetection), options).Fit(rows);
        float[] scores = [.. model.Transform(rows).GetColumn<float>("Score")];
        // To four standard errors of 2000 rows, and a little for the last steps of training.
        Assert.AreEqual(2 * s * s / (1 + s * s), scores.Average(), 0.02);

        ModelFamilies.Add(VectorModelState.Loader(LinearFactorsTrainer.Family)); // the package's own stand in ModelFile.cs
        using var file = new MemoryStream();
        ml.Model.Save(model, rows.Schema, file);
        using var loaded = (VectorTransformer)ml.Model.Load(file, out _);
        CollectionAssert.AreEqual(scores, loaded.Transform(rows).GetColumn<float>("Score").ToArray());
    }
}
