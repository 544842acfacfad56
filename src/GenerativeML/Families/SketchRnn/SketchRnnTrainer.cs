using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Trains a Sketch-RNN (Ha and Eck 2017, https://arxiv.org/abs/1704.03477) on drawings of lines: a variational autoencoder
/// that reads and writes the movements of a pen. The trained model draws others, draws given ones anew, goes from one to
/// another, and goes on with what was begun.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use <see cref="Microsoft.ML.GenerativeCatalog.SketchRnn(SketchRnnOptions)"/>.</para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Generation of drawings, features of drawings, anomaly scores.</description></item>
/// <item><term>Input</term><description>A column of text, in each row a drawing: <see cref="StrokeDrawing.Parse"/>. Rows
/// without points, and with more than <see cref="SketchRnnOptions.MaxPoints"/>, are left out.</description></item>
/// <item><term>Caching</term><description>The drawings are held in memory, twelve bytes a point; the column is read
/// once.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>For training, TorchSharp-cpu or TorchSharp-cuda; a trained
/// model computes with Microsoft.ML.OnnxRuntime on the CPU.</description></item>
/// </list>
/// </remarks>
public sealed class SketchRnnTrainer : GenerativeEstimator<SketchRnnTransformer>
{
    private const int DefaultMaxPoints = 250;

    private readonly SketchRnnOptions _options;

    internal SketchRnnTrainer(IHostEnvironment environment, SketchRnnOptions options)
        : base(environment, nameof(SketchRnnTrainer), options) => _options = options;

    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema) => _options.Outputs();

    private protected override void CheckInput(SchemaShape inputSchema, string parameter) =>
        InputColumns.Check(inputSchema, _options.DrawingColumnName, InputKind.Text, parameter);

    private protected override SketchRnnTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        List<StrokeDrawing> drawings = Read(input, parameter);
        int most = _options.MaxPoints ?? Math.Min(DefaultMaxPoints, drawings.Max(d => d.PointCount));
        int before = drawings.Count;
        drawings.RemoveAll(d => d.PointCount > most);
        if (drawings.Count == 0)
            throw new InvalidOperationException(
                $"All {before} drawings of column '{_options.DrawingColumnName}' have more than {most} points. Raise option "
                + $"{nameof(_options.MaxPoints)}, or simplify them.");
        if (drawings.Count < before)
            context.Warning?.Invoke(
                $"{before - drawings.Count} of {before} drawings have more than {most} points (option {nameof(_options.MaxPoints)}) and are left out of training.");
        SketchRnnOptions options = _options.Resolve(context.Seed) with { MaxPoints = most, Scale = Deviation(drawings) };
        var network = new SketchRnnNetwork(options);
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        using DisposeScope scope = torch.NewDisposeScope();
        using var data = new SketchData(drawings, options, device);
        TrainingRun run = TrainingRun.OfSteps(
            data, options, context, options.Steps, ("family", SketchRnnTransformer.SavedFamily.Name));
        HostWeights weights = NetworkFit.Run(network, network.Tensors, _ => { }, data, run, device);
        return new(new SketchRnnModel(network, weights, context.Device, context.FallbackToCpu));
    }

    private List<StrokeDrawing> Read(IDataView input, string parameter) =>
        new TextColumn(input, _options.DrawingColumnName, parameter, _options.CancellationToken).Parse(
            ("drawing", "drawings", " is no drawing."), _options.CacheBudgetBytes,
            text => StrokeDrawing.Parse(text) is { PointCount: > 0 } drawing ? drawing : null,
            drawing => sizeof(float) * (long)drawing.Values.Length);

    // Of all offsets but the first of a drawing, which only says where it stands; across and down alike.
    private static float Deviation(List<StrokeDrawing> drawings)
    {
        double sum = 0, squares = 0, count = 0;
        foreach (StrokeDrawing drawing in drawings)
        {
            for (int i = StrokeDrawing.Stroke3; i < drawing.Values.Length; i++)
            {
                if (i % StrokeDrawing.Stroke3 == 2)
                    continue;
                double value = drawing.Values[i];
                (sum, squares, count) = (sum + value, squares + value * value, count + 1);
            }
        }
        double variance = count > 0 ? squares / count - Math.Pow(sum / count, 2) : 0;
        return variance > 0 ? (float)Math.Sqrt(variance) : 1;
    }
}

/// <summary>
/// Drawings in batches of about the same length, N points at most: points of stroke-5 behind one from which the first is
/// drawn, and ends behind the last, (B, N + 2, 5); the points in reverse order, (B, N, 5); which of them is
/// the last of its row, (B); and ones for what counts of offsets and of the pen's states, (B, N + 1) each.
/// </summary>
internal sealed class SketchData : TrainingData
{
    // Batches whose drawings are drawn together and then sorted by length: the more, the less padding, the less chance.
    private const int SortedBatches = 20;

    private readonly SketchRnnOptions _options;
    private readonly StrokeDrawing[] _trained, _held;

    public SketchData(IReadOnlyList<StrokeDrawing> drawings, SketchRnnOptions options, torch.Device device)
        : base([new RowField(options.DrawingColumnName, FieldKind.Single, 1)], device, options.Seed!.Value, null)
    {
        _options = options;
        var held = new ValidationRows(options.ValidationFraction, options.Seed!.Value, drawings.Count - 1);
        ILookup<bool, StrokeDrawing> parts = drawings.Select((drawing, i) => (drawing, IsHeld: held.Contains(i)))
            .ToLookup(d => d.IsHeld, d => d.drawing);
        (_trained, _held) = ([.. parts[false]], [.. parts[true].OrderBy(d => d.PointCount)]);
        (TrainingRows, ValidationRows) = (_trained.Length, _held.Length);
    }

    public override IReadOnlyList<string> Fingerprints
    {
        get
        {
            var fingerprint = new Fingerprint();
            foreach (StrokeDrawing drawing in _trained.Concat(_held))
                fingerprint.Add(drawing.ToString());
            return [fingerprint.ToString()];
        }
    }

    public override IEnumerable<Batch> Epoch(int epoch, int batchSize, long skip, CancellationToken cancellation)
    {
        var random = new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Order, epoch));
        int[] order = [.. Enumerable.Range(0, _trained.Length)];
        random.Shuffle<int>(order);
        long batches = BatchesPerEpoch(batchSize);
        for (long first = 0; first < batches; first += SortedBatches)
        {
            int start = (int)RowsBefore(first, batchSize), end = (int)RowsBefore(Math.Min(first + SortedBatches, batches), batchSize);
            int[] sorted = [.. order[start..end].OrderBy(i => _trained[i].PointCount)];
            sorted.CopyTo(order, start);
        }
        long[] turns = [.. Enumerable.Range(0, (int)batches).Select(i => (long)i)];
        random.Shuffle<long>(turns);
        return MakeEach(batchSize, skip, number =>
        {
            (int start, int end) = ((int)RowsBefore(turns[number], batchSize), (int)RowsBefore(turns[number] + 1, batchSize));
            var changes = new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Part, epoch * batches + number));
            return ToBatch([.. order[start..end].Select(i => Changed(_trained[i], _options, ref changes))], _options, Device);
        });
    }

    public override IEnumerable<Batch> Validation(int batchSize) =>
        _held.Chunk(batchSize).Select(drawings => ToBatch([.. drawings.Select(d => d.ToStroke3())], _options, Device));

    /// <summary>Drawings by their numbers of stroke-3, in the unit of the data, as a batch.</summary>
    public static Batch ToBatch(float[][] drawings, SketchRnnOptions options, torch.Device device)
    {
        const int wide = StrokeDrawing.Stroke5, narrow = StrokeDrawing.Stroke3;
        int rows = drawings.Length, most = drawings.Max(d => d.Length) / narrow;
        float[] points = new float[rows * (most + 2) * wide], backwards = new float[rows * most * wide];
        float[] offsets = new float[rows * (most + 1)], pens = new float[rows * (most + 1)];
        long[] last = new long[rows];
        for (int row = 0; row < rows; row++)
        {
            int count = drawings[row].Length / narrow;
            Span<float> forwards = points.AsSpan(row * (most + 2) * wide, (most + 2) * wide);
            SketchRnnModel.Begin(forwards);
            SketchRnnModel.Write(drawings[row], options.Scale!.Value, forwards[wide..]);
            Span<float> reverse = backwards.AsSpan(row * most * wide, most * wide);
            SketchRnnModel.Write(drawings[row], options.Scale.Value, reverse);
            SketchRnnModel.Reverse(reverse[..(count * wide)]);
            last[row] = count - 1;
            offsets.AsSpan(row * (most + 1), count).Fill(1);
            pens.AsSpan(row * (most + 1), count + 1).Fill(1);
        }
        return new(
            InOwnScope(() =>
            [
                HostTensors.FromRows(points, rows, (most + 2) * wide, device).view(rows, most + 2, wide),
                HostTensors.FromRows(backwards, rows, most * wide, device).view(rows, most, wide),
                HostTensors.Index(last, device), HostTensors.FromRows(offsets, rows, most + 1, device),
                HostTensors.FromRows(pens, rows, most + 1, device),
            ]),
            rows);
    }

    /// <summary>A drawing stretched, with points left out where a line goes on.</summary>
    public static float[] Changed(StrokeDrawing drawing, SketchRnnOptions options, ref SplitMix64 random)
    {
        double across = 1 + options.ScaleAugmentation * (2 * random.NextDouble() - 1);
        double down = 1 + options.ScaleAugmentation * (2 * random.NextDouble() - 1);
        ReadOnlySpan<float> values = drawing.Values;
        List<float> changed = new(values.Length);
        int inLine = 0; // points of the line that stay
        for (int i = 0; i < values.Length; i += StrokeDrawing.Stroke3)
        {
            bool leftOut = inLine >= 2 && values[i + 2] == 0 && changed[^1] == 0 && random.NextDouble() < options.PointDropout;
            (float x, float y) = ((float)(across * values[i]), (float)(down * values[i + 1]));
            if (leftOut)
            {
                // The one before it moves here: the line is straight from there.
                changed[^3] += x;
                changed[^2] += y;
                continue;
            }
            changed.AddRange([x, y, values[i + 2]]);
            inLine = values[i + 2] == 1 ? 0 : inLine + 1;
        }
        return [.. changed];
    }
}
