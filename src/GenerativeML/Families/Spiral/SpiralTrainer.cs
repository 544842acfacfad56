using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Trains a SPIRAL agent (Ganin 2018, https://arxiv.org/abs/1804.01118; Mellor 2019, https://arxiv.org/abs/1910.01007), which
/// paints grey images by strokes of a brush: given ones, and others like those of training. It learns by reinforcement, as
/// actor and critic, from how near a painting comes to its image, and from what a discriminator says of it, which is trained
/// beside it.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use <see cref="Microsoft.ML.GenerativeCatalog.Spiral(SpiralOptions)"/>.</para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Generation of images by strokes, images as strokes, anomaly scores.</description></item>
/// <item><term>Input</term><description>A column of <see cref="MLImage"/>, read as grey, or one of vectors of
/// <see cref="float"/> that are grey images; sides up to 64 pixels. Numbers beyond those of training count as black or
/// white.</description></item>
/// <item><term>Caching</term>
/// <description>Done inside, within <see cref="TrainingOptions.CacheBudgetBytes"/>.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>For training, TorchSharp-cpu or TorchSharp-cuda; a trained
/// model computes with Microsoft.ML.OnnxRuntime on the CPU.</description></item>
/// </list>
/// <para>
/// A stroke is a quadratic Bézier curve from where the last one ended, the first from the middle: the agent chooses its end,
/// then its control point, each among the middles of all pixels, then pressure and width.
/// </para>
/// </remarks>
public sealed class SpiralTrainer : GenerativeEstimator<SpiralTransformer>
{
    private const int MinRows = 2;

    private readonly SpiralOptions _options;

    internal SpiralTrainer(IHostEnvironment environment, SpiralOptions options)
        : base(environment, nameof(SpiralTrainer), options) => _options = options;

    private ImageFormat Format => new(_options.ImageShape, _options.Resize);

    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema)
    {
        ImageFormat? image = Format.Of(inputSchema, _options.ImageColumnName, nameof(inputSchema))?.Grey;
        return _options.Outputs(image, (int)(image?.Shape!.Length ?? 1));
    }

    private protected override void CheckInput(SchemaShape inputSchema, string parameter)
    {
        if (Format.Of(inputSchema, _options.ImageColumnName, parameter) is { } image)
            Check(image.Grey, parameter);
    }

    private protected override SpiralTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        ImageFormat format = InputColumns.Describe(input.Schema, _options.ImageColumnName, Format, parameter).Image!;
        format = format.IsPicture ? format.Grey : format;
        Check(format, parameter);
        var rows = new DataViewRowSource(
            input, [_options.ImageColumnName], _options.NonFiniteValues, parameter, images: format, cancellation: _options.CancellationToken);
        var schema = VectorSchema.Of(rows.Columns, format, labelled: false);
        var moments = new ColumnMoments(0, (int)format.Shape!.Length);
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        using DisposeScope scope = torch.NewDisposeScope();
        var observed = new ObservedRows(rows, _options, context.Seed, [moments]);
        if (observed.TrainingRows < MinRows)
            throw new InvalidOperationException($"There is {observed.TrainingRows} row to train on; at least {MinRows} are needed.");
        SpiralInput read = Describe(format, moments);
        SpiralOptions options = _options.Resolve(context.Seed, format.Shape);
        var network = new SpiralNetwork(options, read);
        using TrainingData data = observed.ToData(device, (_, values) => read.ToInk(values));
        options = options with { BatchSize = (int)Math.Min(options.BatchSize!.Value, data.TrainingRows) };
        long seen = (long)options.Strokes * options.BatchSize.Value * SpiralEpisodes.SeenPlanes * network.Pixels;
        if (seen > Array.MaxLength)
        {
            throw new InvalidOperationException(
                $"{options.BatchSize} paintings of {options.Strokes} strokes on {network.Pixels} pixels are more than a step can hold: "
                + $"lower option {nameof(options.BatchSize)}, {nameof(options.Strokes)} or {nameof(options.ImageShape)}.");
        }
        TrainingRun run = TrainingRun.OfSteps(
            data, options, context, options.Steps, ("family", SpiralTransformer.SavedFamily.Name), ("input", read));
        HostWeights weights = NetworkFit.Run(network, network.Tensors, _ => { }, data, run, device);
        return new(new SpiralModel(network, weights, schema, rows.Replacement, context.Device, context.FallbackToCpu));
    }

    private void Check(ImageFormat format, string parameter) => SpiralOptions.CheckShape(
        format.Shape!, what => new ArgumentOutOfRangeException(parameter, $"Column '{_options.ImageColumnName}' has images of {what}."));

    private SpiralInput Describe(ImageFormat format, ColumnMoments moments)
    {
        ImageRange range = format.IsPicture ? new(0, 1) : ImageRange.Of(moments);
        double scale = range.ScaleTo(1), energy = 0;
        bool dark = _options.DarkInk ?? moments.Mean.Average() > (range.Low + (double)range.High) / 2;
        foreach ((double mean, double deviation) in moments.Mean.Zip(moments.Deviation))
        {
            double bright = (mean - range.Low) * scale, ink = dark ? 1 - bright : bright;
            energy += ink * ink + deviation * scale * deviation * scale;
        }
        return new(format, range.Low, range.High, dark, (float)energy);
    }
}
