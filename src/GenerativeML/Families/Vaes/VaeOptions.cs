
namespace GenerativeML;

/// <summary>The options of a variational autoencoder (Kingma and Welling 2014), whatever it is trained for.</summary>
public record VaeOptions : TrainingOptions
{
    /// <summary>All defaults.</summary>
    /// <remarks>
    /// <see cref="TrainingOptions.GradientClipNorm"/> is 0 by default: the loss is a sum over slots, so that its
    /// gradient grows with their number.
    /// </remarks>
    public VaeOptions() => GradientClipNorm = 0;

    /// <summary>
    /// The widths of the encoder's hidden layers, from the input inwards; the decoder mirrors them. At most 64 layers,
    /// each of 1 to 65,536 units; none at all makes a linear model. Default: two, four times as wide as the input, but
    /// at least 128 and at most 512.
    /// </summary>
    public IReadOnlyList<int>? HiddenLayers { get; init; }

    /// <summary>
    /// The number of slots of a code. Those that a row does not need are left at the prior by the KL term. Default: as
    /// many as the input has, but at least 2 and at most 32.
    /// </summary>
    public int? LatentDimension { get; init; }

    /// <summary>The non-linearity after each hidden layer. Default <see cref="Activation.Gelu"/>.</summary>
    public Activation Activation { get; init; } = Activation.Gelu;

    /// <summary>
    /// What the values of a slot are taken to be, for all slots that <see cref="ColumnLikelihoods"/> leaves open.
    /// Default <see cref="VaeLikelihood.Auto"/>.
    /// </summary>
    public VaeLikelihood Likelihood { get; init; }

    /// <summary>
    /// The same for each slot of the input by itself, for mixed data. Default: <see cref="Likelihood"/> for all.
    /// </summary>
    public IReadOnlyList<VaeLikelihood>? ColumnLikelihoods { get; init; }

    /// <summary>
    /// The weight β of the KL term: one maximises a bound on the likelihood; more presses the codes towards the prior
    /// and towards independent slots (Higgins 2017, β-VAE). Zero or more. Default 1.
    /// </summary>
    public double KlWeight { get; init; } = 1;

    /// <summary>
    /// The share of all steps over which the weight of the KL term rises from zero, so that codes come into use before
    /// they are pressed towards the prior (Bowman 2016). In [0, 1). Default 0.
    /// </summary>
    public double KlWarmupFraction { get; init; }

    /// <summary>
    /// Nats of each code slot's KL term, in the mean over the batch, that training leaves alone (Kingma 2016). Zero or
    /// more. Default 0.
    /// </summary>
    public double FreeBits { get; init; }

    /// <summary>
    /// How much of the weights' running mean an update keeps; the trained model has these mean weights, which are
    /// smoother than the last ones. Zero: the last weights themselves. In [0, 1). Default 0.999.
    /// </summary>
    public double WeightAverageDecay { get; init; } = 0.999;

    /// <summary>
    /// What <c>Score</c> holds. Default <see cref="VaeScore.NegativeLogLikelihood"/>; of a detector
    /// <see cref="VaeScore.Novelty"/>.
    /// </summary>
    public VaeScore Score { get; init; }

    /// <summary>
    /// Codes that are drawn for each row to estimate its likelihood, for
    /// <see cref="VaeScore.NegativeLogLikelihood"/>; the estimate falls, and comes closer, with their
    /// number. The same random numbers serve every row, so that a row's score depends on nothing but the row and the
    /// model. 1 to 10,000. Default 8.
    /// </summary>
    public int ScoreSamples { get; init; } = 8;

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(HiddenLayers?.Count ?? 0, 0, VaeShape.MostLayers, "HiddenLayers.Count");
        foreach (int width in HiddenLayers ?? [])
            OptionChecks.Within(width, 1, VaeShape.MostWidth, nameof(HiddenLayers));
        if (LatentDimension is int latent)
            OptionChecks.Within(latent, 1, VaeShape.MostWidth, nameof(LatentDimension));
        OptionChecks.Defined(Activation);
        OptionChecks.Defined(Likelihood);
        foreach (VaeLikelihood likelihood in ColumnLikelihoods ?? [])
            OptionChecks.Defined(likelihood, nameof(ColumnLikelihoods));
        OptionChecks.NonNegativeFinite(KlWeight);
        OptionChecks.WithinHalfOpen(KlWarmupFraction, 0, 1);
        OptionChecks.NonNegativeFinite(FreeBits);
        OptionChecks.WithinHalfOpen(WeightAverageDecay, 0, 1);
        OptionChecks.Defined(Score);
        OptionChecks.Within(ScoreSamples, 1, VaeShape.MostSamples);
    }
}

/// <summary>The options of a VAE that detects anomalies.</summary>
public record VaeDetectorOptions : VaeOptions
{
    /// <summary>All defaults.</summary>
    public VaeDetectorOptions() => Score = VaeScore.Novelty;

    /// <summary>
    /// The share of the training rows that are taken to be anomalies: the threshold of <c>PredictedLabel</c> is the
    /// score that this share of them exceeds. In (0, 0.5]. Default 0.1.
    /// </summary>
    public double Contamination { get; init; } = 0.1;

    /// <summary>
    /// Training rows, drawn at random, that the model keeps to compare rows with, for <see cref="VaeScore.Novelty"/>:
    /// squared distances to the nearest five of them, and to the nearest fifth of the first 128, are parts of that
    /// score. None are kept for other scores, nor where there are conditions: a stored row that is near says nothing
    /// where its labels are others. Zero: none. At most 10,000. Default 2048.
    /// </summary>
    public int MemoryRows { get; init; } = 2048;

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.PositiveFinite(Contamination);
        OptionChecks.Within(Contamination, 0, 0.5);
        OptionChecks.Within(MemoryRows, 0, VaeCalibration.MostRows);
    }
}
