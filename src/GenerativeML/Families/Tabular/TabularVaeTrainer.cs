using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// The options of a variational autoencoder of tables (Kingma and Welling 2014; Xu 2019) whose decoder is
/// autoregressive (Chen 2017).
/// </summary>
public sealed record TabularVaeOptions : TabularOptions
{
    private const int DefaultBatch = 256;

    // Beyond some 1000 steps a small table is learned by heart; a large one is worth more.
    private const long MinRows = 256_000, MaxRows = 1_024_000;
    private const int RowsRead = 10;

    // What the positions of a batch hold together, so that wide tables take no more memory.
    private const long BatchElements = 1 << 23;

    private const int WideColumns = 200;
    private const int MaxWidth = 1 << 16;

    /// <summary>All defaults.</summary>
    /// <remarks>
    /// A tenth of the rows is held back by default, to keep the weights that suit new rows best, and training is not
    /// ended early: <see cref="TrainingOptions.ValidationFraction"/> is 0.1 and
    /// <see cref="TrainingOptions.EarlyStoppingPatience"/> 0.
    /// </remarks>
    public TabularVaeOptions()
    {
        ValidationFraction = 0.1;
        EarlyStoppingPatience = 0;
        WeightAverageDecay = 0.995;
    }

    /// <summary>The number of features of a row's latent vector. 1 to 65,536. Default 16.</summary>
    public int LatentDimension { get; init; } = 16;

    /// <summary>
    /// Width of the hidden layers that each column has in the decoder, and of what the decoder remembers of the columns
    /// before; the encoder's layers are twice as wide. 1 to 32,768. Default: 128, and 64 for more than 200 columns.
    /// </summary>
    public int? HiddenWidth { get; init; }

    /// <summary>
    /// The weight β of the KL term (Higgins 2017): more keeps latent vectors closer to the prior. Zero or more.
    /// Default 1.
    /// </summary>
    public double KlWeight { get; init; } = 1;

    /// <summary>
    /// Nats of each latent feature's KL term, in the mean over the batch, that training leaves alone (Kingma 2016).
    /// Without them the decoder would do without the latent vector, for it sees the columns themselves. Zero or more.
    /// Default 0.1.
    /// </summary>
    public double FreeBits { get; init; } = 0.1;

    /// <summary>The share of hidden units left out in a training step. In [0, 1). Default 0.2.</summary>
    public double Dropout { get; init; } = 0.2;

    internal override bool UsesModes => false;

    internal override TableNetwork CreateNetwork(TokenTable tokens) => new TabularVaeNetwork(this, tokens);

    internal override (TabularOptions Options, long? Steps) Resolve(long trainingRows, int columns)
    {
        int hidden = HiddenWidth ?? (columns > WideColumns ? 64 : 128);
        int batch = (int)Math.Min(DefaultBatch, Math.Max(16, BatchElements / (columns * (long)hidden)));
        long steps = (Math.Clamp(RowsRead * trainingRows, MinRows, MaxRows) + DefaultBatch - 1) / DefaultBatch;
        TabularOptions resolved = (this with { HiddenWidth = hidden }).With(trainingRows, batch, 3e-3, 0.1, steps);
        return (resolved, Epochs is null ? steps : null);
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(LatentDimension, 1, MaxWidth);
        if (HiddenWidth is int width)
            OptionChecks.Within(width, 1, MaxWidth / 2, nameof(HiddenWidth));
        OptionChecks.NonNegativeFinite(KlWeight);
        OptionChecks.NonNegativeFinite(FreeBits);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
    }
}

/// <summary>Learns a table of mixed columns with a variational autoencoder, to generate rows like its own.</summary>
/// <remarks>
/// <para>
/// To create this trainer, use <see cref="GenerativeCatalog.TabularVae(string?, int?)"/> or
/// <see cref="GenerativeCatalog.TabularVae(TabularVaeOptions)"/>.
/// </para>
/// <inheritdoc cref="TabularEstimator" path="/remarks"/>
/// </remarks>
public sealed class TabularVaeTrainer : TabularEstimator
{
    internal TabularVaeTrainer(IHostEnvironment environment, TabularVaeOptions options)
        : base(environment, nameof(TabularVaeTrainer), options)
    {
    }
}
