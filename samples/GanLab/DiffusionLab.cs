using GenerativeML;
using Microsoft.ML;
using Spectre.Console;

namespace GanLab;

/// <summary>
/// A diffusion model on points in the plane: what it makes after more and more training, and then how it does that, step
/// by step from noise.
/// </summary>
internal static class DiffusionLab
{
    private const int Made = 1000; // points, of which some are shown and all are counted
    private const double Near = 0.15; // as far as a point counts

    public static Animation Train(string shape, int epochs, int seed)
    {
        float[][] points = Shapes.Sample(shape, 10_000, seed);
        var animation = new Animation($"A diffusion model on a {shape}", "the more of the generated points lie there", points);
        Animation.Training pictures = animation.Add();
        var ml = new MLContext(seed);
        Table table = new Table().AddColumns("epochs", "mean distance of generated points to the nearest real one");
        IDataView rows = ml.Data.LoadFromEnumerable(points.Select(p => new PlanePoint { Features = p }));
        for (int passes = 1; passes < 4 * epochs; passes *= 4)
        {
            int trained = Math.Min(passes, epochs);
            using DiffusionTransformer model = ml.Generative.Diffusion(new DiffusionOptions { Epochs = trained }).Fit(rows);
            // The seed is the same, and so the noise: from picture to picture each point moves to where it belongs.
            IReadOnlyList<float[]> steps = model.GenerateSteps(Made, seed: 1);
            double distance = steps[^1].Chunk(2).Average(made => points.Min(real => Distance(made, real)));
            table.AddRow($"{trained}", $"{distance:F3}");
            Show($"{(trained == 1 ? "1 epoch" : $"{trained} epochs")}: {distance:F3} from the nearest real point", steps[^1]);
            for (int i = 0; trained == epochs && i < steps.Count; i++)
                Show($"after {epochs} epochs, step {i} of {steps.Count - 1} from noise", steps[i]);
        }
        AnsiConsole.Write(table);
        return animation;

        // Noise is far wider than the picture: it is drawn as wide as the points are.
        void Show(string caption, float[] made)
        {
            double wider = Math.Max(1, Spread(made) / Spread([.. points.SelectMany(p => p)]));
            float[] drawn = [.. made.Select(v => (float)(v / wider))];
            pictures.Add(
                wider < 1.1 ? caption : $"{caption}, drawn {wider:F1} times smaller",
                places => Density(drawn, places), drawn.Chunk(2).Take(Animation.Shown));
        }
    }

    private static double Spread(float[] values) => Math.Sqrt(values.Average(v => (double)v * v));

    // How many points lie near places, in logarithms, since they crowd in the end.
    private static float[] Density(float[] made, float[] places) =>
    [
        .. places.Chunk(2).Select(place => (float)Math.Log(
            1 + made.Chunk(2).Sum(p => Math.Exp(-0.5 * Math.Pow(Distance(p, place) / Near, 2))))),
    ];

    private static double Distance(float[] a, float[] b) => Math.Sqrt(Math.Pow(a[0] - b[0], 2) + Math.Pow(a[1] - b[1], 2));
}
