using GenerativeML.Tests.Images;

namespace GenerativeML.Tests;

/// <summary>What VAEs of images do otherwise than those of vectors.</summary>
[TestClass]
public class ImageVaeTests
{
    private const int Side = 12, Width = Side * Side, Rows = 20;

    // A bar that moves and leans, by the row.
    private static float Value(long row, int pixel)
    {
        int y = pixel / Side, x = pixel % Side;
        return MathF.Exp(-MathF.Abs(x - 2 - row % 7 - (y - 6) * (row % 5 - 2) * 0.2f)) * (1 + row % 3) / 4;
    }

    // The largest singular value of an orthogonalised matrix is about one, from 0.7 to 1.2; AdamW's first step moves each
    // number by the rate.
    [TestMethod]
    public void Muon_moves_hidden_layers_and_AdamW_the_others()
    {
        const double adam = 1e-3, muon = 0.02;
        using TrainedVector before = Fit(1e-20, 0), after = Fit(adam, muon), none = Fit(adam, 0);
        int matrices = 0;
        foreach (TensorSpec spec in after.Network.Tensors().Where(t => t.Name.EndsWith(".weight", StringComparison.Ordinal)))
        {
            double[] moved = Moved(after, spec.Name);
            Assert.AreEqual(adam, Moved(none, spec.Name).Max(Math.Abs), 0.01 * adam, spec.Name);
            if (spec.Name is "encoder.1.convolution.weight" or "decoder.1.convolution.weight")
            {
                Assert.AreEqual(adam, moved.Max(Math.Abs), 0.01 * adam, spec.Name);
                continue;
            }
            matrices++;
            int columns = moved.Length / (int)spec.Shape[0];
            double step = muon * Math.Sqrt(Math.Max(1, spec.Shape[0] / (double)columns));
            Assert.AreEqual(1, LargestSingularValue(moved, columns) / step, 0.35, spec.Name);
        }
        Assert.AreEqual(2 * 6 - 2 + 3 + 2, matrices); // two stages but their outermost layers, three dense ones, the latent ones

        double[] Moved(TrainedVector model, string name) =>
            [.. model.Weights[name].Zip(before.Weights[name], (a, b) => (double)a - b)];

        static TrainedVector Fit(double rate, double matrixRate) => Fitted(new()
        {
            LearningRate = rate, MatrixLearningRate = matrixRate, Epochs = 1, BatchSize = Rows, WeightDecay = 0,
            WeightAverageDecay = 0, Schedule = LearningRateSchedule.Constant, WarmupFraction = 0,
        });
    }

    [TestMethod]
    public void Images_are_compared_with_stored_ones_by_their_outlines()
    {
        using TrainedVector model = Fitted(new()
        {
            ScoreColumnName = "Score", FeatureScoreColumnName = "FeatureScore", Score = VaeScore.Novelty, ReferenceRows = 8, Epochs = 1,
        });
        double[][] outlines =
        [
            .. Enumerable.Range(0, Rows).Select(row => ImageOutlinesTests.Expected(
                new(1, Side, Side), [.. Enumerable.Range(0, Width).Select(i => (double)Value(row, i))])),
        ];
        int width = outlines[0].Length;
        double[][] stored = [.. model.Weights["memory"].Chunk(width).Select(row => row.Select(v => (double)v).ToArray())];
        Assert.HasCount(8, stored);
        foreach (double[] each in stored)
            Assert.IsTrue(outlines.Any(row => Squared(row, each) < 1e-6 * width));

        // What the two parts of the score weigh is all that changes when their weights become nothing.
        var block = new RowBlock([new RowField("Features", FieldKind.Single, Width)], Rows);
        for (int i = 0; i < Rows * Width; i++)
            block.Singles(0)[i] = Value(i / Width, i % Width);
        (float[] score, float[] byFeature) = RandomVae.Scores(model, block, Rows);
        float[] weights = model.Weights["part_weight"];
        HostWeights copies = HostWeights.Of(model.Weights.Specs.Select(spec => (spec, model.Weights[spec.Name].ToArray())));
        using var without = new TrainedVector(model.Network, copies, ComputeDevice.Cpu, fallbackToCpu: false);
        copies["part_weight"][2] = copies["part_weight"][3] = 0;
        (float[] less, _) = RandomVae.Scores(without, block, Rows);
        for (int row = 0; row < Rows; row++)
        {
            double[] distances = [.. stored.Select(each => Squared(outlines[row], each))];
            double near = distances.Where(d => d > 1e-4 * width).Order().Take(2).Average();
            double far = distances.Order().Take(2).Average();
            Assert.AreEqual(less[row] + near * weights[2] + far * weights[3], score[row], 1e-3 * score[row], $"row {row}");
            Assert.AreEqual(score[row], byFeature.Skip(row * Width).Take(Width).Sum(), 1e-4 * score[row], $"row {row}");
        }
    }

    // By powers of MᵀM.
    private static double LargestSingularValue(double[] matrix, int columns)
    {
        double[][] rows = [.. matrix.Chunk(columns)];
        double[] x = [.. Enumerable.Range(1, columns).Select(i => Math.Cos(i))];
        double length = 0;
        for (int round = 0; round < 200; round++)
        {
            length = Math.Sqrt(x.Sum(v => v * v));
            double[] made = [.. rows.Select(row => row.Zip(x, (a, b) => a * b / length).Sum())];
            x = [.. Enumerable.Range(0, columns).Select(j => rows.Zip(made, (row, m) => row[j] * m).Sum())];
        }
        return Math.Sqrt(Math.Sqrt(x.Sum(v => v * v)));
    }

    private static double Squared(double[] a, double[] b) => a.Zip(b, (x, y) => (x - y) * (x - y)).Sum();

    private static TrainedVector Fitted(ImageVaeOptions options) => VectorFit.Fit(
        new FieldRows(Rows, [Width], Value, new(new(1, Side, Side))), ImageVaeTrainer.Family,
        options with { ImageShape = new(1, Side, Side), Channels = [6, 8], HiddenWidth = 10, LatentDimension = 4 }, Trained.OnCpu).Model;
}
