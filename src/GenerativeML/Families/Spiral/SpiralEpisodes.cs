using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>The agent's three passes, in the order of a stroke: where it ends, how it bends, how it is pressed.</summary>
internal enum SpiralPass
{
    Look,
    Bend,
    Press,
}

/// <summary>Computes a pass over rows.</summary>
internal delegate void SpiralCompute(SpiralPass pass, int rows, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs);

/// <summary>
/// Paintings, stroke by stroke and side by side: what the agent saw and did at each step, and what came of it. A step's
/// numbers lie one painting after the other, and the steps behind each other: (T × B × numbers).
/// </summary>
internal sealed class SpiralEpisodes
{
    /// <summary>What the agent sees of each pixel: canvas, image, brush, way from it across and down, whether an image is given, time.</summary>
    public const int SeenPlanes = 7;

    /// <summary>What it sees beside its features when it bends a stroke: the end, and the way from the chord's middle.</summary>
    public const int BendPlanes = 3;

    private readonly SpiralNetwork _network;
    private readonly int _pixels;

    private SpiralEpisodes(SpiralNetwork network, int rows)
    {
        (_network, Rows, _pixels) = (network, rows, network.Pixels);
        int all = Steps * rows;
        (Seen, Bends) = (new float[all * SeenPlanes * _pixels], new float[all * BendPlanes * _pixels]);
        (Ends, Paths) = (new float[all * _pixels], new float[all * _pixels]);
        Actions = [new long[all], new long[all], new long[all], new long[all]];
        Canvases = new float[(Steps + 1) * rows * _pixels];
        Strokes = new BrushStroke[all];
    }

    /// <summary>Paintings, B.</summary>
    public int Rows { get; }

    /// <summary>Strokes of each, T.</summary>
    public int Steps => _network.Options.Strokes;

    /// <summary>What the agent saw, (T × B × planes·H·W).</summary>
    public float[] Seen { get; }

    /// <summary>What it saw when it bent strokes, (T × B × planes·H·W).</summary>
    public float[] Bends { get; }

    /// <summary>One where a stroke ended, (T × B × H·W).</summary>
    public float[] Ends { get; }

    /// <summary>The way of a stroke, as shares of a sum of one, (T × B × H·W).</summary>
    public float[] Paths { get; }

    /// <summary>What was chosen: end, control point, pressure and width, each (T × B).</summary>
    public long[][] Actions { get; }

    /// <summary>The canvases before the first stroke and after each, as ink, ((T + 1) × B × H·W).</summary>
    public float[] Canvases { get; }

    /// <summary>The strokes, (T × B).</summary>
    public BrushStroke[] Strokes { get; }

    /// <summary>The strokes of a painting.</summary>
    public IEnumerable<BrushStroke> StrokesOf(int row) => Enumerable.Range(0, Steps).Select(t => Strokes[t * Rows + row]);

    /// <summary>The finished canvases, (B × H·W).</summary>
    public Span<float> Finished => Canvases.AsSpan(Steps * Rows * _pixels);

    /// <summary>
    /// Paints: images as ink, (B × H·W), of which those count that are given; each painting draws from random numbers of its
    /// own, by the temperature, or without one always takes the likeliest.
    /// </summary>
    public static SpiralEpisodes Play(
        SpiralNetwork network, SpiralCompute compute, ReadOnlyMemory<float> images, bool[] given, SplitMix64[] random, double? temperature)
    {
        var episodes = new SpiralEpisodes(network, given.Length);
        var chosen = new int[4];
        var brush = new (float X, float Y)[given.Length];
        Array.Fill(brush, (network.Width / 2 + 0.5f, network.Height / 2 + 0.5f));
        float[][] results = [.. network.ResultWidths.Select(width => new float[given.Length * width])];
        for (int t = 0; t < episodes.Steps; t++)
            episodes.Step(t, compute, images.Span, given, random, temperature, brush, results);
        return episodes;
    }

    private void Step(
        int t, SpiralCompute compute, ReadOnlySpan<float> images, bool[] given, SplitMix64[] random, double? temperature,
        (float X, float Y)[] brush, float[][] results)
    {
        (float[] ends, float[] features, float[] global, float[] controls, float[] pressures, float[] widths) =
            (results[0], results[1], results[2], results[3], results[4], results[5]);
        int first = t * Rows;
        for (int row = 0; row < Rows; row++)
            Look(t, row, images.Slice(row * _pixels, _pixels), given[row], brush[row]);
        compute(SpiralPass.Look, Rows, [Of(Seen, SeenPlanes)], [ends, features, global]);
        for (int row = 0; row < Rows; row++)
        {
            int end = Choose(ends, _pixels, row);
            Actions[0][first + row] = end;
            Ends[(first + row) * _pixels + end] = 1;
            Bend(first + row, end, brush[row]);
        }
        compute(SpiralPass.Bend, Rows, [features, global, Of(Bends, BendPlanes)], [controls]);
        for (int row = 0; row < Rows; row++)
        {
            int end = (int)Actions[0][first + row], control = Choose(controls, _pixels, row);
            Actions[1][first + row] = control;
            ((float endX, float endY), (float controlX, float controlY)) = (Place(end), Place(control));
            var stroke = new BrushStroke(brush[row].X, brush[row].Y, controlX, controlY, endX, endY, 1, _network.MiddleWidth);
            Strokes[first + row] = stroke;
            Span<float> path = Paths.AsSpan((first + row) * _pixels, _pixels);
            stroke.Paint(path, _network.Height, _network.Width);
            TensorPrimitives.Multiply(path, 1 / Math.Max(TensorPrimitives.Sum<float>(path), 1e-6f), path);
        }
        compute(SpiralPass.Press, Rows, [features, global, Of(Ends, 1), Of(Paths, 1)], [pressures, widths]);
        for (int row = 0; row < Rows; row++)
        {
            int pressure = Choose(pressures, _network.PressureLevels, row), width = Choose(widths, _network.Widths.Length, row);
            (Actions[2][first + row], Actions[3][first + row]) = (pressure, width);
            ref BrushStroke stroke = ref Strokes[first + row];
            stroke = stroke with { Pressure = (float)pressure / (_network.PressureLevels - 1), Width = _network.Widths[width] };
            Span<float> canvas = Canvases.AsSpan((first + Rows + row) * _pixels, _pixels);
            Canvases.AsSpan((first + row) * _pixels, _pixels).CopyTo(canvas);
            stroke.Paint(canvas, _network.Height, _network.Width);
            brush[row] = (stroke.EndX, stroke.EndY);
        }

        ReadOnlyMemory<float> Of(float[] all, int planes) => all.AsMemory(first * planes * _pixels, Rows * planes * _pixels);

        int Choose(float[] logits, int count, int row)
        {
            ReadOnlySpan<float> own = logits.AsSpan(row * count, count);
            return temperature is double divisor
                ? MixtureDensity.Choose(own, random[row].NextDouble(), divisor)
                : TensorPrimitives.IndexOfMax(own);
        }
    }

    private void Look(int t, int row, ReadOnlySpan<float> image, bool given, (float X, float Y) brush)
    {
        int at = t * Rows + row;
        Span<float> seen = Seen.AsSpan(at * SeenPlanes * _pixels, SeenPlanes * _pixels);
        Canvases.AsSpan(at * _pixels, _pixels).CopyTo(seen);
        if (given)
            image.CopyTo(seen[_pixels..]);
        seen[2 * _pixels + (int)brush.Y * _network.Width + (int)brush.X] = 1;
        Way(seen.Slice(3 * _pixels, 2 * _pixels), brush.X, brush.Y);
        seen.Slice(5 * _pixels, _pixels).Fill(given ? 1 : 0);
        seen.Slice(6 * _pixels, _pixels).Fill((float)t / Steps);
    }

    private void Bend(int at, int end, (float X, float Y) brush)
    {
        Span<float> seen = Bends.AsSpan(at * BendPlanes * _pixels, BendPlanes * _pixels);
        seen[end] = 1;
        (float endX, float endY) = Place(end);
        Way(seen[_pixels..], (brush.X + endX) / 2, (brush.Y + endY) / 2);
    }

    // From a place to each pixel's middle, across and down, in shares of half a side.
    private void Way(Span<float> planes, float x, float y)
    {
        (int height, int width) = (_network.Height, _network.Width);
        for (int i = 0; i < _pixels; i++)
        {
            planes[i] = (i % width + 0.5f - x) * 2 / width;
            planes[_pixels + i] = (i / width + 0.5f - y) * 2 / height;
        }
    }

    private (float X, float Y) Place(int pixel) => (pixel % _network.Width + 0.5f, pixel / _network.Width + 0.5f);
}

/// <summary>What strokes earn, (T × B), and what that is worth.</summary>
internal static class SpiralRewards
{
    /// <summary>
    /// Rewards by what there was before the first stroke and after each, ((T + 1) × B), the more the better: what each
    /// stroke adds to it, or the last one all.
    /// </summary>
    public static float[] Of(ReadOnlySpan<float> worth, int steps, int rows, bool temporal)
    {
        float[] rewards = new float[steps * rows];
        for (int i = 0; i < rewards.Length; i++)
        {
            if (temporal)
                rewards[i] = worth[i + rows] - worth[i];
            else if (i / rows == steps - 1)
                rewards[i] = worth[i + rows] - worth[i % rows];
        }
        return rewards;
    }

    /// <summary>
    /// Generalised advantages (Schulman 2016), (T × B), by rewards and what the critic expected before each stroke; nothing
    /// comes behind the last. What the critic should have expected is the sum of both.
    /// </summary>
    public static float[] Advantages(ReadOnlySpan<float> rewards, ReadOnlySpan<float> values, int rows, double discount, double trace)
    {
        float[] advantages = new float[rewards.Length];
        for (int i = rewards.Length - 1; i >= 0; i--)
        {
            bool last = i + rows >= rewards.Length;
            double surprise = rewards[i] + (last ? 0 : discount * values[i + rows]) - values[i];
            advantages[i] = (float)(surprise + (last ? 0 : discount * trace * advantages[i + rows]));
        }
        return advantages;
    }

    /// <summary>
    /// Advantages of some of the rows, all steps together, less their mean, which is no reason to do the same again, and
    /// divided by their deviation; in place. Where several processes have rows, mean and deviation are those of all.
    /// </summary>
    public static void Normalize(Span<float> advantages, int rows, Func<int, bool> isOne, Func<double[], double[]>? total = null)
    {
        (double sum, double squares, double count) = (0, 0, 0);
        for (int i = 0; i < advantages.Length; i++)
        {
            if (isOne(i % rows))
                (sum, squares, count) = (sum + advantages[i], squares + (double)advantages[i] * advantages[i], count + 1);
        }
        if (total?.Invoke([sum, squares, count]) is { } all)
            (sum, squares, count) = (all[0], all[1], all[2]);
        double mean = sum / Math.Max(1, count), variance = squares / Math.Max(1, count) - mean * mean;
        double scale = variance > 1e-12 ? 1 / Math.Sqrt(variance) : 1;
        for (int i = 0; i < advantages.Length; i++)
        {
            if (isOne(i % rows))
                advantages[i] = (float)((advantages[i] - mean) * scale);
        }
    }
}
