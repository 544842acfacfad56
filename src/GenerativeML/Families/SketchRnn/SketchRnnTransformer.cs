using System.Globalization;
using System.Numerics.Tensors;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// A trained Sketch-RNN: draws, and as a step of a pipeline adds features, scores or new versions of drawings to rows. On
/// the CPU ONNX Runtime computes, without torch; on a CUDA device, and where ONNX Runtime is not there, torch does.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class SketchRnnTransformer : GenerativeTransformer, IDataGenerator
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("sketch rnn", Load);

    private const int DrawnTogether = 64;

    internal SketchRnnTransformer(SketchRnnModel model)
        : base(model)
    {
        Model = model;
        var builder = new DataViewSchema.Builder();
        builder.AddColumn(model.Options.DrawingColumnName, TextDataViewType.Instance);
        GeneratedSchema = builder.ToSchema();
    }

    /// <summary>What computes.</summary>
    internal SketchRnnModel Model { get; }

    /// <summary>The column of generated drawings: the one of training, text as <see cref="StrokeDrawing.Parse"/> reads.</summary>
    public DataViewSchema GeneratedSchema { get; }

    /// <summary>
    /// How far what is drawn may stray from what is likeliest: logits are divided by it, and variances multiplied. Above 0
    /// and at most 10; saved with the model, and counts for what is drawn from then on. Default: the option of training.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value set is out of its range.</exception>
    public double Temperature
    {
        get => Model.Temperature;
        set => Model.Temperature = OptionChecks.Temperature(value);
    }

    internal override OnnxPass? PassOf(OnnxContent content)
    {
        (SketchRnnNetwork network, int latent, int width) = (Model.Network, LatentDimension, Model.Options.DecoderWidth);
        const int point = StrokeDrawing.Stroke5;
        (string, string) scale = ("scale", Model.Options.Scale!.Value.ToString("R", CultureInfo.InvariantCulture));
        return content switch
        {
            OnnxContent.Encode => new(
                Model.Weights, new SketchRnnNetwork.EncodePass(network), [("points", Model.Options.MaxPoints!.Value * point), ("count", 1)],
                ["mu", "log_var"], scale),
            OnnxContent.Begin => new(
                Model.Weights, new SketchRnnNetwork.InitialPass(width), [("latent", latent)], ["present.hidden", "present.memory"]),
            OnnxContent.Step => new(
                Model.Weights, new SketchRnnNetwork.DrawPass(network),
                [("point", point), ("latent", latent), ("past.hidden", width), ("past.memory", width)],
                ["parameters", "present.hidden", "present.memory"], scale, ("mixtures", $"{Model.Options.Mixtures}")),
            _ => null,
        };
    }

    /// <summary>Features of a latent vector.</summary>
    public int LatentDimension => Model.Options.LatentDimension;

    /// <summary>The number of weights.</summary>
    public long ParameterCount => Model.Network.Tensors.Sum(t => t.Length / sizeof(float));

    /// <inheritdoc/>
    /// <remarks>Latent vectors are drawn from the standard normal distribution. There are no conditions.</remarks>
    public IDataView Generate(long rows, int seed = 0, RowCondition? where = null)
    {
        RowCondition.RequireNone(where, "a Sketch-RNN has no conditions");
        double temperature = Temperature;
        return new GeneratedDataView(
            new GeneratedItems<string>(
                GeneratedSchema, DrawnTogether, seed, random => Model.Make(random, temperature), (_, drawing) => ItemGetters.Text(drawing)),
            rows);
    }

    /// <summary>The mean of a drawing's latent distribution, a vector of <see cref="LatentDimension"/>.</summary>
    /// <param name="drawing">A drawing with points; behind the most that a drawing may have, they are passed over.</param>
    /// <exception cref="ArgumentException">The drawing has no points.</exception>
    public float[] Encode(StrokeDrawing drawing)
    {
        RequirePoints(drawing, nameof(drawing));
        return Model.Encode([drawing]).Mu;
    }

    /// <summary>Draws what a latent vector stands for.</summary>
    /// <param name="latent">A vector of <see cref="LatentDimension"/>.</param>
    /// <param name="seed">Other seeds give other drawings.</param>
    /// <exception cref="ArgumentException">The vector has another length, or an element that is not finite.</exception>
    public StrokeDrawing Decode(ReadOnlySpan<float> latent, int seed = 0)
    {
        RequireLatent(latent);
        return Model.Draw(latent.ToArray(), [RowRandom.Of(seed, 0)], Temperature, StrokeDrawing.Empty)[0];
    }

    /// <summary>Draws a drawing anew: what the mean of its latent distribution stands for.</summary>
    /// <param name="drawing">A drawing with points.</param>
    /// <param name="seed">Other seeds give other drawings.</param>
    /// <exception cref="ArgumentException">The drawing has no points.</exception>
    public StrokeDrawing Reconstruct(StrokeDrawing drawing, int seed = 0) => Decode(Encode(drawing), seed);

    /// <summary>
    /// Draws what lies between two drawings, along the arc between their latent vectors (spherical interpolation).
    /// </summary>
    /// <param name="from">The drawing that is gone from.</param>
    /// <param name="to">The drawing that is gone to.</param>
    /// <param name="count">How many drawings, both ends among them; at least 2.</param>
    /// <param name="seed">Other seeds give other drawings; all of a call are drawn with the same random numbers.</param>
    /// <exception cref="ArgumentException">A drawing has no points, or fewer than 2 are asked for.</exception>
    public IReadOnlyList<StrokeDrawing> Interpolate(StrokeDrawing from, StrokeDrawing to, int count, int seed = 0)
    {
        RequirePoints(from, nameof(from));
        RequirePoints(to, nameof(to));
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 2);
        float[] a = Model.Encode([from]).Mu, b = Model.Encode([to]).Mu;
        double cosine = Math.Clamp(TensorPrimitives.CosineSimilarity<float>(a, b), -1, 1), angle = Math.Acos(cosine), sine = Math.Sin(angle);
        float[] z = new float[count * a.Length];
        for (int i = 0; i < count; i++)
        {
            double t = i / (count - 1.0);
            // Where there is no arc, in a straight line.
            bool straight = !(Math.Abs(sine) > 1e-6);
            double first = straight ? 1 - t : Math.Sin((1 - t) * angle) / sine, second = straight ? t : Math.Sin(t * angle) / sine;
            for (int j = 0; j < a.Length; j++)
                z[i * a.Length + j] = (float)(first * a[j] + second * b[j]);
        }
        return Model.Draw(z, [.. Enumerable.Range(0, count).Select(_ => RowRandom.Of(seed, 0))], Temperature, StrokeDrawing.Empty);
    }

    /// <summary>Goes on with a drawing that was begun.</summary>
    /// <param name="beginning">
    /// What is there: its points are those of the result, and the pen is where its last point leaves it.
    /// </param>
    /// <param name="latent">
    /// What the whole is to be like, a vector of <see cref="LatentDimension"/>. Default: drawn from the standard normal
    /// distribution, another for each seed.
    /// </param>
    /// <param name="seed">Other seeds give other drawings.</param>
    /// <exception cref="ArgumentException">
    /// The beginning has no points, or as many as a drawing may have; or the vector has another length, or an element that
    /// is not finite.
    /// </exception>
    public StrokeDrawing Complete(StrokeDrawing beginning, float[]? latent = null, int seed = 0)
    {
        RequirePoints(beginning, nameof(beginning));
        if (beginning.PointCount >= Model.Options.MaxPoints)
            throw new ArgumentException(
                $"The beginning has {beginning.PointCount} points, and the model draws {Model.Options.MaxPoints} at most.", nameof(beginning));
        SplitMix64 random = RowRandom.Of(seed, 0);
        float[] drawn = new float[LatentDimension];
        NormalNumbers.Fill(ref random, drawn);
        if (latent is not null)
            RequireLatent(latent);
        return Model.Draw(latent ?? drawn, [random], Temperature, beginning)[0];
    }

    private protected override string Family => SavedFamily.Name;

    private protected override void WriteOptions(Utf8JsonWriter writer) => JsonSerializer.Serialize(
        writer, new SavedSketchRnn(Model.Options with { Temperature = Temperature }, Model.Options.Scale!.Value), ModelJson.Options);

    private protected override void WriteWeights(Stream stream) => Model.Weights.Save(stream);

    private static SketchRnnTransformer Load(IHostEnvironment environment, JsonElement json, Stream weights)
    {
        SavedSketchRnn saved = ModelJson.Read<SavedSketchRnn>(json);
        ModelJson.Check(saved.Options.Validate);
        if (saved.Options.MaxPoints is null || !(saved.Scale > 0) || !float.IsFinite(saved.Scale))
            throw new FormatException("The saved model's options have no number of points, or no unit.");
        var network = new SketchRnnNetwork(saved.Options with { Scale = saved.Scale });
        return new(new SketchRnnModel(
            network, HostWeights.Load(weights, network.Tensors), HostDefaults.LoadingDevice(environment),
            MLNetInternals.FallbackToCpuOf(environment)));
    }

    private static void RequirePoints(StrokeDrawing drawing, string parameter)
    {
        ArgumentNullException.ThrowIfNull(drawing, parameter);
        if (drawing.PointCount == 0)
            throw new ArgumentException("The drawing has no points.", parameter);
    }

    private void RequireLatent(ReadOnlySpan<float> latent)
    {
        if (latent.Length != LatentDimension)
            throw new ArgumentException($"The latent vector has {latent.Length} features; {LatentDimension} are expected.", nameof(latent));
        foreach (float feature in latent)
        {
            if (!float.IsFinite(feature))
                throw new ArgumentException("The latent vector has an element that is not finite.", nameof(latent));
        }
    }
}

/// <summary>What <c>options.json</c> holds of a Sketch-RNN.</summary>
internal sealed record SavedSketchRnn(SketchRnnOptions Options, float Scale);

/// <summary>A trained Sketch-RNN over rows, step by step for all that are not at their end. Safe to use from several threads.</summary>
internal sealed class SketchRnnModel(SketchRnnNetwork network, HostWeights weights, ComputeDevice device, bool fallbackToCpu)
    : IBatchModel
{
    private const int Point = StrokeDrawing.Stroke5;

    private readonly InferenceCache _inference = new(weights, device, fallbackToCpu);

    public SketchRnnNetwork Network => network;

    public SketchRnnOptions Options => network.Options;

    /// <summary>The weights; they have to stay as they are.</summary>
    public HostWeights Weights => weights;

    /// <summary>How far what is drawn may stray.</summary>
    public double Temperature { get; set; } = network.Options.Temperature;

    public IReadOnlyList<RowField> Inputs { get; } = [new RowField(network.Options.DrawingColumnName, FieldKind.Text, Width: 1)];

    public IReadOnlyList<OutputColumn> Outputs { get; } = network.Options.Outputs();

    public int BatchSize => 128;

    public NonFiniteReplacement? Replacement => null;

    private int MaxPoints => Options.MaxPoints!.Value;

    /// <summary>Writes the point from which the first is drawn: the pen is down at the origin.</summary>
    public static void Begin(Span<float> points)
    {
        points[..Point].Clear();
        points[2] = 1;
    }

    /// <summary>Writes numbers of stroke-3 as stroke-5 in a model's unit, and behind them ends.</summary>
    public static void Write(ReadOnlySpan<float> stroke3, float scale, Span<float> target)
    {
        target.Clear();
        for (int i = 0; i < target.Length / Point; i++)
        {
            Span<float> point = target.Slice(i * Point, Point);
            if (i * StrokeDrawing.Stroke3 >= stroke3.Length)
            {
                point[4] = 1;
                continue;
            }
            (point[0], point[1]) = (stroke3[i * StrokeDrawing.Stroke3] / scale, stroke3[i * StrokeDrawing.Stroke3 + 1] / scale);
            point[stroke3[i * StrokeDrawing.Stroke3 + 2] == 1 ? 3 : 2] = 1;
        }
    }

    /// <summary>Points in reverse order; each stays as it is.</summary>
    public static void Reverse(Span<float> points)
    {
        points.Reverse();
        for (int i = 0; i < points.Length; i += Point)
            points.Slice(i, Point).Reverse();
    }

    /// <summary>The latent distributions of drawings with points: means and log-variances, (rows × L).</summary>
    public (float[] Mu, float[] LogVar) Encode(IReadOnlyList<StrokeDrawing> drawings)
    {
        int rows = drawings.Count, latent = Options.LatentDimension;
        float[] mu = new float[rows * latent], logVar = new float[rows * latent];
        _inference.Run(
            "latent", () => new SketchRnnNetwork.LatentPass(), rows, [End(reversed: false), End(reversed: true)], [mu, logVar]);
        return (mu, logVar);

        // The hidden states behind the drawings' last points, (rows × E).
        float[] End(bool reversed)
        {
            int width = Options.EncoderWidth;
            string direction = reversed ? "backward" : "forward";
            float[] hidden = new float[rows * width], memory = new float[rows * width], input = new float[rows * Point];
            int[] order = LongestFirst(drawings);
            float[][] points = [.. order.Select(i => Points(drawings[i], reversed))];
            for (int t = 0, active = rows; ; t++)
            {
                while (active > 0 && points[active - 1].Length <= t * Point)
                    active--;
                if (active == 0)
                    break;
                for (int i = 0; i < active; i++)
                    points[i].AsSpan(t * Point, Point).CopyTo(input.AsSpan(i * Point));
                Advance(
                    direction, () => new SketchRnnNetwork.ReadPass(network, direction), active, width, hidden, memory,
                    [input.AsMemory(0, active * Point)]);
            }
            float[] inOrder = new float[rows * width];
            for (int i = 0; i < rows; i++)
                hidden.AsSpan(i * width, width).CopyTo(inOrder.AsSpan(order[i] * width));
            return inOrder;
        }
    }

    /// <summary>Draws what latent vectors stand for that are drawn from the standard normal distribution, as text.</summary>
    public string[] Make(SplitMix64[] random, double temperature)
    {
        float[] z = new float[random.Length * Options.LatentDimension];
        for (int i = 0; i < random.Length; i++)
            NormalNumbers.Fill(ref random[i], z.AsSpan(i * Options.LatentDimension, Options.LatentDimension));
        return [.. Draw(z, random, temperature, StrokeDrawing.Empty).Select(drawing => drawing.ToString())];
    }

    /// <summary>
    /// Draws what latent vectors (rows × L) stand for, each by random numbers of its own, behind a beginning that is given
    /// to all.
    /// </summary>
    public StrokeDrawing[] Draw(float[] z, SplitMix64[] random, double temperature, StrokeDrawing beginning)
    {
        float[] given = Points(beginning, reversed: false);
        int begun = given.Length / Point;
        List<float>[] drawn = [.. random.Select(_ => new List<float>(beginning.Values.ToArray()))];
        float[] offset = new float[2];
        SplitMix64[] states = [.. random];
        int width = Options.DecoderWidth, latent = Options.LatentDimension, wide = network.Density.Width;
        (float[] hidden, float[] memory) = Start(z, random.Length);
        float[] points = new float[random.Length * Point], said = new float[random.Length * wide];
        int[] open = [.. Enumerable.Range(0, random.Length)];
        for (int i = 0; i < open.Length; i++)
            Begin(points.AsSpan(i * Point));
        for (int t = 0; open.Length > 0; t++)
        {
            int n = open.Length;
            Advance(
                "draw", () => new SketchRnnNetwork.DrawPass(network), n, width, hidden, memory,
                [points.AsMemory(0, n * Point), z.AsMemory(0, n * latent)], said.AsMemory(0, n * wide));
            List<int> stay = [];
            for (int i = 0; i < n; i++)
            {
                int row = open[i];
                Span<float> point = points.AsSpan(stay.Count * Point, Point);
                if (t < begun)
                {
                    given.AsSpan(t * Point, Point).CopyTo(point);
                }
                else
                {
                    int pen = network.Density.Sample(said.AsSpan(i * wide, wide), ref states[row], offset, temperature);
                    if (pen == 2 || t >= MaxPoints)
                        continue;
                    point.Clear();
                    (point[0], point[1], point[2 + pen]) = (offset[0], offset[1], 1);
                    drawn[row].AddRange([offset[0] * Options.Scale!.Value, offset[1] * Options.Scale.Value, pen]);
                }
                stay.Add(i);
            }
            if (stay.Count < n)
            {
                (hidden, memory, z) = (Kept(hidden, width), Kept(memory, width), Kept(z, latent));
                open = [.. stay.Select(i => open[i])];
            }

            float[] Kept(float[] values, int each)
            {
                float[] kept = new float[stay.Count * each];
                for (int i = 0; i < stay.Count; i++)
                    values.AsSpan(stay[i] * each, each).CopyTo(kept.AsSpan(i * each));
                return kept;
            }
        }
        return [.. drawn.Select(values => StrokeDrawing.FromStroke3([.. values.Select(Bounded)]))];

        // An untrained model may say anything.
        static float Bounded(float value) => float.IsFinite(value) ? Math.Clamp(value, -1e6f, 1e6f) : 0;
    }

    /// <summary>The scores of drawings: the negative bound at the means of their latent distributions, for each point.</summary>
    public float[] Score(IReadOnlyList<StrokeDrawing> drawings, float[] mu, float[] logVar)
    {
        int rows = drawings.Count, latent = Options.LatentDimension;
        double[] nats = new double[rows];
        for (int i = 0; i < mu.Length; i++)
            nats[i / latent] += 0.5 * (Math.Exp(logVar[i]) + (double)mu[i] * mu[i] - logVar[i] - 1);
        int[] order = LongestFirst(drawings);
        float[][] points = [.. order.Select(i => Points(drawings[i], reversed: false))];
        float[] z = [.. order.SelectMany(i => mu[(i * latent)..((i + 1) * latent)])];
        (float[] hidden, float[] memory) = Start(z, rows);
        float[] seen = new float[rows * Point], next = new float[rows * Point], offsets = new float[rows], pens = new float[rows];
        for (int i = 0; i < rows; i++)
            Begin(next.AsSpan(i * Point));
        for (int t = 0, active = rows; ; t++)
        {
            // A drawing that goes on behind the most points has no end to be told.
            while (active > 0 && Steps(order[active - 1]) <= t)
                active--;
            if (active == 0)
                break;
            next.CopyTo(seen, 0);
            for (int i = 0; i < active; i++)
                Write(points[i].AsSpan(t * Point), next.AsSpan(i * Point, Point));
            Advance(
                "score", () => new SketchRnnNetwork.ScorePass(network), active, Options.DecoderWidth, hidden, memory,
                [seen.AsMemory(0, active * Point), z.AsMemory(0, active * latent), next.AsMemory(0, active * Point)],
                offsets.AsMemory(0, active), pens.AsMemory(0, active));
            for (int i = 0; i < active; i++)
                nats[order[i]] -= pens[i] + (points[i].Length > t * Point ? offsets[i] : 0);
        }
        return [.. nats.Select((sum, row) => (float)(sum / Steps(row)))];

        int Steps(int row) => Math.Min(drawings[row].PointCount + 1, MaxPoints + (drawings[row].PointCount > MaxPoints ? 0 : 1));

        // A point, or the end where there is none.
        static void Write(ReadOnlySpan<float> from, Span<float> point)
        {
            point.Clear();
            if (from.IsEmpty)
                point[4] = 1;
            else
                from[..Point].CopyTo(point);
        }
    }

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        int score = outputs.NumberOf(Options.ScoreColumnName), latent = outputs.NumberOf(Options.LatentColumnName);
        int again = outputs.NumberOf(Options.ReconstructionColumnName), width = Options.LatentDimension;
        var drawings = new StrokeDrawing[rows];
        for (int row = 0; row < rows; row++)
        {
            try
            {
                drawings[row] = StrokeDrawing.Parse(inputs.Texts(0)[row]);
            }
            catch (FormatException wrong)
            {
                throw new RowException(row, Inputs[0].Name, wrong);
            }
            if (drawings[row].PointCount == 0)
                outputs.SetUnknown(row);
        }
        int[] given = [.. Enumerable.Range(0, rows).Where(row => drawings[row].PointCount > 0)];
        StrokeDrawing[] those = [.. given.Select(row => drawings[row])];
        if (those.Length == 0)
            return;
        (float[] mu, float[] logVar) = Encode(those);
        float[] scores = score < 0 ? [] : Score(those, mu, logVar);
        // The same random numbers for every row, so that what one becomes follows from it alone.
        StrokeDrawing[] made = again < 0 ? [] : Draw(mu, [.. those.Select(_ => RowRandom.Of(0, 0))], Temperature, StrokeDrawing.Empty);
        for (int i = 0; i < given.Length; i++)
        {
            if (score >= 0)
                outputs.Singles(score)[given[i]] = scores[i];
            if (latent >= 0)
                mu.AsSpan(i * width, width).CopyTo(outputs.Singles(latent)[(given[i] * width)..]);
            if (again >= 0)
                outputs.Texts(again)[given[i]] = made[i].ToString();
        }
    }

    public void Dispose() => _inference.Dispose();

    // A drawing's points in the model's unit, no more than there may be.
    private float[] Points(StrokeDrawing drawing, bool reversed)
    {
        int count = Math.Min(drawing.PointCount, MaxPoints);
        float[] points = new float[count * Point];
        Write(drawing.Values[..(count * StrokeDrawing.Stroke3)], Options.Scale!.Value, points);
        if (reversed)
            Reverse(points);
        return points;
    }

    // Rows that go on stand in front.
    private static int[] LongestFirst(IReadOnlyList<StrokeDrawing> drawings) =>
        [.. Enumerable.Range(0, drawings.Count).OrderByDescending(i => drawings[i].PointCount)];

    // The states that drawing begins with.
    private (float[] Hidden, float[] Memory) Start(float[] z, int rows)
    {
        int width = Options.DecoderWidth;
        float[] hidden = new float[rows * width], memory = new float[rows * width];
        _inference.Run("initial", () => new SketchRnnNetwork.InitialPass(width), rows, [z], [hidden, memory]);
        return (hidden, memory);
    }

    // Runs a step for the first rows of a state, and leaves them in the state behind it.
    private void Advance(
        string key, Func<IForwardPass> pass, int rows, int width, float[] hidden, float[] memory,
        ReadOnlyMemory<float>[] inputs, params Memory<float>[] outputs)
    {
        float[] h = new float[rows * width], c = new float[rows * width];
        _inference.Run(
            key, pass, rows, [.. inputs, hidden.AsMemory(0, rows * width), memory.AsMemory(0, rows * width)], [.. outputs, h, c]);
        h.CopyTo(hidden, 0);
        c.CopyTo(memory, 0);
    }
}
