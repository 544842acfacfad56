using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;
using Spectre.Console;

namespace GanLab;

/// <summary>A normalising flow on points in the plane: the same noise through the flow after more and more training.</summary>
internal static class FlowLab
{
    // Where it is less than e to the power of it, a density is drawn as if it were that.
    private const float LeastLogDensity = -6;

    public static Animation Train(string shape, int epochs, int seed)
    {
        float[][] points = Shapes.Sample(shape, 10_000, seed), fresh = Shapes.Sample(shape, 2000, seed + 1);
        var animation = new Animation($"A normalising flow on a {shape}", "the denser points lie there, says the flow", points);
        Animation.Training pictures = animation.Add();
        var ml = new MLContext(seed);
        Table table = new Table().AddColumns("epochs", "log-likelihood of fresh points, nats");
        for (int passes = 1; passes < 2 * epochs; passes *= 2)
        {
            int trained = Math.Min(passes, epochs);
            using VectorGenerator flow = ml.Generative.NormalizingFlow(new() { Epochs = trained, LatentColumnName = "Latent" })
                .Fit(View(ml, points));
            float[] LogDensity(IEnumerable<float[]> places) =>
                [.. flow.Transform(View(ml, places)).GetColumn<float>("Score").Select(score => -score)];
            float[] Field(float[] places) => [.. LogDensity(places.Chunk(2)).Select(v => Math.Max(v, LeastLogDensity))];

            // The seed is the same, and so the noise: from picture to picture each point moves to where it belongs.
            IDataView made = flow.Transform(flow.Generate(Animation.Shown, seed: 1));
            if (passes == 1)
                pictures.Add("the noise that points are made of", Normal, made.GetColumn<float[]>("Latent"));
            float nats = LogDensity(fresh).Average();
            pictures.Add($"{(trained == 1 ? "1 epoch" : $"{trained} epochs")}: {nats:F3} nats", Field, made.GetColumn<float[]>("Features"));
            table.AddRow($"{trained}", $"{nats:F3}");
        }
        AnsiConsole.Write(table);
        return animation;
    }

    // The logarithm of a normal distribution's density.
    private static float[] Normal(float[] places) =>
        [.. places.Chunk(2).Select(p => Math.Max(-0.5f * (p[0] * p[0] + p[1] * p[1]) - MathF.Log(2 * MathF.PI), LeastLogDensity))];

    private static IDataView View(MLContext ml, IEnumerable<float[]> points) =>
        ml.Data.LoadFromEnumerable(points.Select(p => new PlanePoint { Features = p }));
}
