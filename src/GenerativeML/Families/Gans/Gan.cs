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
}
