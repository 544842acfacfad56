using System.Globalization;
using System.Numerics.Tensors;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// A trained SPIRAL agent: paints images by strokes, given ones and others, and as a step of a pipeline does the former for
/// rows. On the CPU ONNX Runtime computes, without torch; on a CUDA device, and where ONNX Runtime is not there, torch does.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class SpiralTransformer : GenerativeTransformer, IDataGenerator
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("spiral", Load);

    internal SpiralTransformer(SpiralModel model)
        : base(model)
    {
        Model = model;
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(model.Schema.ToSchema(model.Network.Input.Image));
        if (model.Network.Options.StrokesColumnName is string strokes)
            builder.AddColumn(strokes, TextDataViewType.Instance);
        GeneratedSchema = builder.ToSchema();
    }

    /// <summary>
    /// The columns of generated rows: the image, with the type of the training data, and its strokes, text as
    /// <see cref="StrokePainting.Parse"/> reads it.
    /// </summary>
    public DataViewSchema GeneratedSchema { get; }

    /// <summary>
    /// What logits are divided by where strokes of free paintings are drawn: the less, the likelier they are. Above 0 and at
    /// most 10; saved with the model, and counts for what is painted from then on. Default: the option of training.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value set is out of its range.</exception>
    public double Temperature
    {
        get => Model.Temperature;
        set => Model.Temperature = OptionChecks.Temperature(value);
    }

    /// <summary>Whether ink is dark on bright paper.</summary>
    public bool DarkInk => Model.Network.Input.DarkInk;

    /// <summary>What computes.</summary>
    internal SpiralModel Model { get; }

    private ImageShape Shape => Model.Network.Input.Image.Shape!;

    /// <inheritdoc/>
    /// <remarks>There are no conditions.</remarks>
    /// <exception cref="InvalidOperationException">The agent only learned to paint given images.</exception>
    public IDataView Generate(long rows, int seed = 0, RowCondition? where = null)
    {
        CheckGenerates();
        RowCondition.RequireNone(where, "a SPIRAL agent has no conditions; Paint takes an image");
        double temperature = Temperature;
        return new GeneratedDataView(
            new GeneratedItems<(StrokePainting Painting, float[] Pixels)>(
                GeneratedSchema, Model.BatchSize, seed, random => Model.Make(random, temperature), (column, made) => GeneratedSchema[column].Type switch
                {
                    TextDataViewType => ItemGetters.Text(() => made().Painting.ToString()),
                    VectorDataViewType => ItemGetters.Vector(() => made().Pixels),
                    _ => (ValueGetter<MLImage>)((ref MLImage value) => value = ImagePixels.ToImage(made().Pixels, Shape)!),
                }),
            rows);
    }

    /// <summary>Paints freely: the first row that <see cref="Generate"/> makes.</summary>
    /// <param name="seed">Other seeds give other paintings.</param>
    /// <exception cref="InvalidOperationException">The agent only learned to paint given images.</exception>
    public StrokePainting Paint(int seed = 0)
    {
        CheckGenerates();
        return Model.PaintFreely([RowRandom.Of(seed, 0)], Temperature)[0].Painting;
    }

    /// <summary>Paints an image, by the likeliest strokes.</summary>
    /// <param name="image">The image; it is resized to the model's.</param>
    /// <exception cref="InvalidOperationException">The agent only learned to paint freely.</exception>
    public StrokePainting Paint(MLImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        float[] ink = new float[Model.Network.Pixels];
        ImagePixels.Read(image, Model.Network.Input.Image, ink);
        for (int i = 0; DarkInk && i < ink.Length; i++)
            ink[i] = 1 - ink[i];
        return PaintGiven(ink);
    }

    /// <summary>Paints an image, by the likeliest strokes.</summary>
    /// <param name="pixels">Its pixels, row by row, in the units of the training data; of a model of images from 0 to 1.</param>
    /// <exception cref="ArgumentException">It has other pixels than the model's images, or some are no numbers.</exception>
    /// <exception cref="InvalidOperationException">The agent only learned to paint freely.</exception>
    public StrokePainting Paint(ReadOnlySpan<float> pixels)
    {
        float[] ink = pixels.ToArray();
        if (ink.Length != Model.Network.Pixels || !ink.All(float.IsFinite))
            throw new ArgumentException(
                $"The image has {ink.Length} pixels, and {Shape.Height} × {Shape.Width} are expected, all of them finite numbers.", nameof(pixels));
        Model.Network.Input.ToInk(ink);
        return PaintGiven(ink);
    }

    private StrokePainting PaintGiven(float[] ink) => Model.Network.Options.Reconstructs
        ? Model.PaintGiven(ink, 1)[0].Painting
        : throw new InvalidOperationException("This agent only learned to paint freely: option ReconstructionShare was 0.");

    private void CheckGenerates()
    {
        if (!Model.Network.Options.Generates)
            throw new InvalidOperationException("This agent only learned to paint given images: option ReconstructionShare was 1.");
    }

    private protected override string Family => SavedFamily.Name;

    internal override OnnxPass? PassOf(OnnxContent content)
    {
        SpiralNetwork network = Model.Network;
        return content != OnnxContent.Step ? null : new(
            Model.Weights, new SpiralNetwork.StepPass(network),
            [
                ("seen", SpiralEpisodes.SeenPlanes * network.Pixels), ("bend", SpiralEpisodes.BendPlanes * network.Pixels), ("end", network.Pixels),
                ("path", network.Pixels),
            ],
            ["end_logits", "control_logits", "pressure_logits", "width_logits"], ("strokes", $"{network.Options.Strokes}"),
            ("widths", string.Join(' ', network.Widths.Select(width => width.ToString("R", CultureInfo.InvariantCulture)))));
    }

    private protected override void WriteOptions(Utf8JsonWriter writer) => JsonSerializer.Serialize(
        writer,
        new SavedSpiral(
            Model.Network.Options with { Temperature = Temperature }, Model.Network.Input, Model.Schema, Model.Replacement?.Fields),
        ModelJson.Options);

    private protected override void WriteWeights(Stream stream) => Model.Weights.Save(stream);

    private static SpiralTransformer Load(IHostEnvironment environment, JsonElement json, Stream weights)
    {
        SavedSpiral saved = ModelJson.Read<SavedSpiral>(json);
        SpiralInput input = saved.Input;
        ModelJson.Check(saved.Options.Validate);
        SpiralOptions.CheckShape(
            input.Image?.Shape ?? throw new FormatException("The saved model's input is none of images."),
            what => new FormatException($"The saved model's images are {what}."));
        if (saved.Options.BrushWidths is null || !float.IsFinite(input.Low) || !float.IsFinite(input.High) || !float.IsFinite(input.Energy))
            throw new FormatException("The saved model leaves open what training decides.");
        var network = new SpiralNetwork(saved.Options, input);
        var model = new SpiralModel(
            network, HostWeights.Load(weights, network.Tensors), saved.Schema,
            saved.Replacement is null ? null : new(saved.Replacement), HostDefaults.LoadingDevice(environment),
            MLNetInternals.FallbackToCpuOf(environment));
        saved.Schema.Check(model.Inputs);
        if (model.Replacement?.Fits(model.Inputs) == false)
            throw new FormatException("The saved model's replacements for NaN do not fit its input.");
        return new(model);
    }
}

/// <summary>What <c>options.json</c> holds of a SPIRAL agent.</summary>
internal sealed record SavedSpiral(
    SpiralOptions Options, SpiralInput Input, VectorSchema Schema, IReadOnlyList<NonFiniteReplacement.SlotRange>? Replacement = null);

/// <summary>A trained agent over rows. Safe to use from several threads.</summary>
internal sealed class SpiralModel(
    SpiralNetwork network, HostWeights weights, VectorSchema schema, NonFiniteReplacement? replacement, ComputeDevice device,
    bool fallbackToCpu) : IBatchModel
{
    // Numbers that paintings side by side may hold.
    private const int MaxNumbers = 1 << 24;

    private readonly InferenceCache _inference = new(weights, device, fallbackToCpu);

    public SpiralNetwork Network => network;

    /// <summary>The weights; they have to stay as they are.</summary>
    public HostWeights Weights => weights;

    public VectorSchema Schema => schema;

    /// <summary>What logits are divided by in free paintings.</summary>
    public double Temperature { get; set; } = network.Options.Temperature;

    public IReadOnlyList<RowField> Inputs { get; } =
        [new RowField(network.Options.ImageColumnName, FieldKind.Single, network.Pixels) { Image = network.Input.Image }];

    public IReadOnlyList<OutputColumn> Outputs { get; } = network.Options.Outputs(network.Input.Image, network.Pixels);

    public int BatchSize { get; } = (int)Math.Clamp(
        MaxNumbers / (network.Options.Strokes * (long)network.Pixels * (SpiralEpisodes.SeenPlanes + SpiralEpisodes.BendPlanes + 3) + network.Options.Channels * (long)network.Pixels),
        1, 64);

    public NonFiniteReplacement? Replacement => replacement;

    private SpiralOptions Options => network.Options;

    /// <summary>Free paintings, and their pixels in the units of the data.</summary>
    public (StrokePainting Painting, float[] Pixels)[] Make(SplitMix64[] random, double temperature)
    {
        (StrokePainting Painting, float[] Pixels)[] made = PaintFreely(random, temperature);
        foreach ((_, float[] pixels) in made)
            network.Input.FromInk(pixels);
        return made;
    }

    /// <summary>Paintings of so many images, as ink, (rows × H·W), by the likeliest strokes, and their canvases.</summary>
    public (StrokePainting Painting, float[] Ink)[] PaintGiven(ReadOnlyMemory<float> ink, int rows) =>
        Paint(ink, [.. Enumerable.Repeat(true, rows)], new SplitMix64[rows], temperature: null);

    /// <summary>Free paintings, each by random numbers of its own.</summary>
    public (StrokePainting Painting, float[] Ink)[] PaintFreely(SplitMix64[] random, double temperature) =>
        Paint(new float[random.Length * network.Pixels], new bool[random.Length], random, temperature);

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        int score = outputs.NumberOf(Options.ScoreColumnName), painting = outputs.NumberOf(Options.PaintingColumnName);
        int strokes = outputs.NumberOf(Options.StrokesColumnName), pixels = network.Pixels;
        if (Math.Max(score, Math.Max(painting, strokes)) < 0)
            return;
        float[] ink = inputs.Singles(0)[..(rows * pixels)].ToArray();
        network.Input.ToInk(ink);
        (StrokePainting Painting, float[] Ink)[] painted = PaintGiven(ink, rows);
        for (int row = 0; row < rows; row++)
        {
            if (score >= 0)
            {
                float distance = TensorPrimitives.Distance<float>(painted[row].Ink, ink.AsSpan(row * pixels, pixels));
                outputs.Singles(score)[row] = distance * distance / pixels;
            }
            if (painting >= 0)
            {
                network.Input.FromInk(painted[row].Ink);
                painted[row].Ink.CopyTo(outputs.Singles(painting).Slice(row * pixels, pixels));
            }
            if (strokes >= 0)
                outputs.Texts(strokes)[row] = painted[row].Painting.ToString();
        }
    }

    public void Dispose() => _inference.Dispose();

    private (StrokePainting, float[])[] Paint(ReadOnlyMemory<float> ink, bool[] given, SplitMix64[] random, double? temperature)
    {
        SpiralEpisodes episodes = SpiralEpisodes.Play(network, Compute, ink, given, random, temperature);
        return [.. given.Select((_, row) => (
            new StrokePainting(network.Height, network.Width, episodes.StrokesOf(row), network.Input.DarkInk),
            episodes.Finished.Slice(row * network.Pixels, network.Pixels).ToArray()))];

        void Compute(SpiralPass pass, int rows, ReadOnlyMemory<float>[] inputs, Memory<float>[] outputs) =>
            _inference.Run(pass.ToString(), () => network.PassOf(pass), rows, inputs, outputs);
    }
}
