using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>The options of a generative adversarial network (Goodfellow 2014) of dense layers.</summary>
/// <inheritdoc cref="AdversarialOptions" path="/remarks"/>
public sealed record GanOptions : AdversarialOptions
{
    /// <summary>
    /// The widths of the generator's hidden layers, from the noise outwards. At most 64 layers, each of 1 to 65,536
    /// units. Default: two of 128.
    /// </summary>
    public IReadOnlyList<int> GeneratorLayers { get; init; } = [128, 128];

    /// <summary>The same of the discriminator, from the row inwards. Default: two of 128.</summary>
    public IReadOnlyList<int> DiscriminatorLayers { get; init; } = [128, 128];

    /// <summary>
    /// The non-linearity after each hidden layer of both networks. Default <see cref="Activation.Relu"/>.
    /// </summary>
    public Activation Activation { get; init; } = Activation.Relu;

    /// <summary>
    /// Rows that the discriminator judges together, so that it sees a lack of variety (Lin 2018, PacGAN). With
    /// <see cref="GanScore.Discriminator"/> a row is then judged in a pack of its own copies. Default 1.
    /// </summary>
    public int PackSize { get; init; } = 1;

    internal override int Pack => PackSize;

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        ArgumentNullException.ThrowIfNull(GeneratorLayers);
        ArgumentNullException.ThrowIfNull(DiscriminatorLayers);
        OptionChecks.Layers(GeneratorLayers);
        OptionChecks.Layers(DiscriminatorLayers);
        OptionChecks.Defined(Activation);
        OptionChecks.Within(PackSize, 1, 64);
    }
}

/// <summary>
/// Trains a generative adversarial network (Goodfellow 2014): a generator that makes rows from noise, against a
/// discriminator that tells them from the training rows. <see cref="AdversarialOptions.Objective"/> chooses the game.
/// </summary>
/// <remarks>
/// <para>
/// To create this estimator, use <see cref="GenerativeCatalog.Gan(string, GanObjective, int?)"/> or
/// <see cref="GenerativeCatalog.Gan(GanOptions)"/>. <see cref="GanTransformer.Report"/> says how training went.
/// </para>
/// <inheritdoc cref="VectorTrainer{TTransformer}" path="/remarks/list"/>
/// <para>
/// With <see cref="VectorOptions.ConditionColumnNames"/> it is conditional (Mirza 2014): generated rows have those columns
/// too, with the values that are asked for. Of keys, Booleans, and Singles that hold at most twenty values, all of them
/// whole, these are values of training rows; of other Singles, any. To search for latent vectors takes TorchSharp.
/// </para>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>Score</c></term><description><see cref="float"/>: how strange the row is, see
/// <see cref="AdversarialOptions.Score"/>.</description></item>
/// <item><term><c>Reconstruction</c></term><description>On request: a vector as wide as the input, the nearest row that
/// the generator can make.</description></item>
/// </list>
/// </remarks>
public sealed class GanTrainer : VectorTrainer<GanTransformer>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<GanOptions>(
        "gan", (options, input) => new GanNetwork(options, input), state => new GanTransformer(state));

    internal GanTrainer(IHostEnvironment environment, GanOptions options)
        : base(environment, Family, options)
    {
    }
}

/// <summary>A trained GAN as a step of a pipeline: adds scores to rows, and generates rows.</summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class GanTransformer : VectorGenerator
{
    internal GanTransformer(VectorModelState state)
        : base(state) => Report = GanReport.Read(state.Extra);

    /// <summary>How the training went: figures by stage, and a verdict in words.</summary>
    public GanReport Report { get; }

    /// <summary>
    /// How rows are generated: truncation of the noise, or of styles. Training sets it by the option of the same name; it can
    /// be changed at any time, is saved with the model, and counts for what <c>Generate</c> and <see cref="Mix"/> are called
    /// for from then on. A graph of OnnxContent.Generate truncates styles; its noise is the caller's.
    /// </summary>
    /// <exception cref="ArgumentException">A value is out of its range, or is for styles and the model has none.</exception>
    public GanSampling Sampling
    {
        get => Options.Sampling;
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            value.Validate(Options);
            State = State with { Options = Options with { Sampling = value } };
        }
    }

    /// <summary>
    /// Layers that a style acts on, from the coarsest to the finest: of a <see cref="ImageGanArchitecture.StyleGan"/> one of
    /// the smallest size and two of each larger one; zero of other GANs.
    /// </summary>
    public int StyleLayers => (State.Model.Network as IStyleSampler)?.StyleLayers ?? 0;

    /// <summary>
    /// Generates rows with the styles of two (Karras 2019, style mixing): each has those of the row of the same number that
    /// <c>Generate</c> makes by <paramref name="seed"/>, but from a layer on those of the one by
    /// <paramref name="otherSeed"/>, or something in between. With <paramref name="fromLayer"/> 0, shares from 0 to 1 are a
    /// path from one row to the other. Conditions and fine noise are those of the first.
    /// </summary>
    /// <param name="rows">How many; zero or more.</param>
    /// <param name="seed">The seed of the rows that coarse styles are from.</param>
    /// <param name="otherSeed">The seed of the rows that fine styles are from.</param>
    /// <param name="fromLayer">The first layer with other styles: from 0 to less than <see cref="StyleLayers"/>.</param>
    /// <param name="share">How much of the other style these layers have, in [0, 1]. Default 1.</param>
    /// <param name="where">What every row meets. Default: as in the training rows.</param>
    /// <returns>The rows, with <see cref="VectorGenerator.GeneratedSchema"/>.</returns>
    /// <exception cref="NotSupportedException">The model has no styles.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows, the layer or the share is none of these.</exception>
    /// <exception cref="ArgumentException">No row can meet the condition.</exception>
    public IDataView Mix(
        long rows, int seed, int otherSeed, int fromLayer, double share = 1, RowCondition? where = null)
    {
        if (StyleLayers == 0)
        {
            throw new NotSupportedException(
                $"The model has no styles to mix: an {nameof(GenerativeCatalog.ImageGan)} of architecture {nameof(ImageGanArchitecture.StyleGan)} has.");
        }
        OptionChecks.AtLeast(rows, 0);
        OptionChecks.Within(fromLayer, 0, StyleLayers - 1);
        OptionChecks.Within(share, 0, 1);
        float[] shares = [.. Enumerable.Range(0, StyleLayers).Select(layer => layer < fromLayer ? 0 : (float)share)];
        return new GeneratedDataView(
            new GeneratedVectors(State, GeneratedSchema, seed, where, mix: (otherSeed, shares)), rows);
    }

    private AdversarialOptions Options => (AdversarialOptions)State.Options;
}
