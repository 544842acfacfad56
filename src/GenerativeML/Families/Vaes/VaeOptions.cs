namespace GenerativeML;

/// <summary>
/// The options of a variational autoencoder (Kingma and Welling 2014), whatever its networks are made of. What it is
/// trained for follows from the columns that are asked for: where there is a predicted label or a p-value, to detect anomalies.
/// Gradients are not clipped by default: <see cref="TrainingOptions.GradientClipNorm"/> is 0.
/// </summary>
public abstract record VariationalOptions : DetectorOptions
{
    private protected VariationalOptions()
    {
        // The loss is a sum over features, so that the norm of its gradient grows with their number.
        GradientClipNorm = 0;
        WeightAverageDecay = 0.999;
    }

    /// <summary>
    /// The column for the standard deviation of the row's latent distribution, whose mean goes to
    /// <see cref="DetectorOptions.LatentColumnName"/>. Default: none is added.
    /// </summary>
    public string? LatentDeviationColumnName { get; init; }

    /// <summary>
    /// Features of a latent vector. Those that a row does not need are left at the prior by the KL term. Default: as
    /// many as the input has, but at least 2 and at most 32.
    /// </summary>
    public int? LatentDimension { get; init; }

    /// <summary>The non-linearity after each hidden layer. Default <see cref="Activation.Gelu"/>.</summary>
    public Activation Activation { get; init; } = Activation.Gelu;

    /// <summary>
    /// What the values of a feature are taken to be, for all that <see cref="FeatureLikelihoods"/> leaves open. Default
    /// <see cref="VaeLikelihood.Auto"/>.
    /// </summary>
    public VaeLikelihood Likelihood { get; init; }

    /// <summary>
    /// The same for each feature by itself, for mixed data. Default: <see cref="Likelihood"/> for all.
    /// </summary>
    public IReadOnlyList<VaeLikelihood>? FeatureLikelihoods { get; init; }

    /// <summary>
    /// The weight β of the KL term: one maximises a bound on the likelihood; more presses the latent distributions
    /// towards the prior and towards independent features (Higgins 2017, β-VAE). Zero or more. Default 1.
    /// </summary>
    public double KlWeight { get; init; } = 1;

    /// <summary>
    /// The share of all steps over which the weight of the KL term rises from zero, so that latent features come into
    /// use before they are pressed towards the prior (Bowman 2016). In [0, 1). Default 0.
    /// </summary>
    public double KlWarmupFraction { get; init; }

    /// <summary>
    /// Nats of each latent feature's KL term, in the mean over the batch, that training leaves alone (Kingma 2016).
    /// Zero or more. Default 0.
    /// </summary>
    public double FreeBits { get; init; }

    /// <summary>
    /// What <c>Score</c> holds. Default: <see cref="VaeScore.Novelty"/> where labels are predicted, otherwise
    /// <see cref="VaeScore.NegativeLogLikelihood"/>.
    /// </summary>
    public VaeScore? Score { get; init; }

    /// <summary>
    /// Latent vectors that are drawn for each row to estimate its likelihood, for
    /// <see cref="VaeScore.NegativeLogLikelihood"/>; the estimate falls, and comes closer, with their number. The same
    /// random numbers serve every row, so that a row's score depends on nothing but the row and the model. 1 to 10,000.
    /// Default 8.
    /// </summary>
    public int ScoreSamples { get; init; } = 8;

    /// <summary>
    /// Training rows, drawn at random, that the model keeps to compare rows with, for <see cref="VaeScore.Novelty"/>:
    /// squared distances to the nearest five of them, and to the nearest fifth of the first 128, are parts of that
    /// score; of images not of their pixels, but of their outlines. None are kept for other scores, nor for conditional
    /// models, since a near row may have other labels. Zero: none. At most 10,000. Default 2048.
    /// </summary>
    public int ReferenceRows { get; init; } = 2048;

    /// <summary>Whether rows are scored.</summary>
    internal bool Scores =>
        ScoreColumnName is not null || FeatureScoreColumnName is not null || AnomalyShare is not null;

    internal override VectorColumns Columns => base.Columns with { LatentDeviation = LatentDeviationColumnName };

    private protected override OptionalColumns Supported =>
        OptionalColumns.Conditions | OptionalColumns.FeatureScore | OptionalColumns.Reconstruction;

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        VaeLikelihood[] likelihoods = LikelihoodsOf(rows);
        bool alike = likelihoods.Distinct().Count() == 1;
        VaeScore score = Score
            ?? (AnomalyShare is null ? VaeScore.NegativeLogLikelihood : VaeScore.Novelty);
        bool compares = Scores && score == VaeScore.Novelty && rows.Input.ConditionWidth == 0;
        return this with
        {
            LatentDimension = LatentDimension ?? Math.Clamp(rows.Input.Width, 2, 32),
            Likelihood = alike ? likelihoods[0] : Likelihood,
            FeatureLikelihoods = alike ? null : likelihoods,
            Score = score,
            ReferenceRows = compares ? Math.Min(ReferenceRows, rows.Samples[0].Count) : 0,
            BatchSize = BatchSize ?? 128,
            LearningRate = LearningRate ?? 1e-3,
            WeightDecay = WeightDecay ?? 1e-4,
            // Some 2000 steps for a small table; a large one is read ten times at least.
            Epochs = Epochs ?? rows.EpochsFor(presented: 256_000, least: 10, most: 1000),
        };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(LatentDimension, 1, OptionChecks.MaxWidth);
        OptionChecks.Defined(Activation);
        OptionChecks.Defined(Likelihood);
        foreach (VaeLikelihood likelihood in FeatureLikelihoods ?? [])
            OptionChecks.Defined(likelihood, nameof(FeatureLikelihoods));
        OptionChecks.NonNegativeFinite(KlWeight);
        OptionChecks.WithinHalfOpen(KlWarmupFraction, 0, 1);
        OptionChecks.NonNegativeFinite(FreeBits);
        OptionChecks.Defined(Score ?? default, nameof(Score));
        OptionChecks.Within(ScoreSamples, 1, 10_000);
        OptionChecks.Within(ReferenceRows, 0, VectorFit.SampleRows);
    }

    /// <summary>Each feature's likelihood, with those decided that are left to the rows.</summary>
    private VaeLikelihood[] LikelihoodsOf(RowStatistics rows)
    {
        int width = rows.Input.Width;
        if (FeatureLikelihoods is { } given && given.Count != width)
        {
            throw new InvalidOperationException(
                $"Option {nameof(FeatureLikelihoods)} must have one entry for each of the {width} features of column "
                + $"'{FeatureColumnName}', but has {given.Count}.");
        }
        var likelihoods = new VaeLikelihood[width];
        for (int j = 0; j < width; j++)
        {
            VaeLikelihood chosen =
                FeatureLikelihoods?[j] is { } own && own != VaeLikelihood.Auto ? own : Likelihood;
            (float least, float most) = (rows.Moments[0].Minimum[j], rows.Moments[0].Maximum[j]);
            if (Images is not null) // whose range is scaled to [0, 1]
            {
                likelihoods[j] = chosen == VaeLikelihood.Gaussian ? chosen : VaeLikelihood.Bernoulli;
                continue;
            }
            if (chosen == VaeLikelihood.Bernoulli && (least < 0 || most > 1))
            {
                throw new InvalidOperationException(FormattableString.Invariant(
                    $"Feature {j} of column '{FeatureColumnName}' cannot be Bernoulli: values from 0 to 1 are expected, found {least} to {most}."));
            }
            bool isBernoulli = chosen == VaeLikelihood.Bernoulli
                || chosen == VaeLikelihood.Auto && rows.Binary[j] && most > least;
            likelihoods[j] = isBernoulli ? VaeLikelihood.Bernoulli : VaeLikelihood.Gaussian;
        }
        return likelihoods;
    }
}

/// <summary>The options of a variational autoencoder of dense layers.</summary>
public sealed record VaeOptions : VariationalOptions
{
    /// <summary>
    /// The widths of the encoder's hidden layers, from the input inwards; the decoder mirrors them. At most 64 layers,
    /// each of 1 to 65,536 units; none at all makes a linear model. Default: two, four times as wide as the input, but
    /// at least 128 and at most 512.
    /// </summary>
    public IReadOnlyList<int>? HiddenLayers { get; init; }

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        int width = Math.Clamp(4 * rows.Input.Width, 128, 512);
        return (VaeOptions)base.Resolve(rows) with { HiddenLayers = HiddenLayers ?? [width, width] };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Layers(HiddenLayers);
    }
}

/// <summary>What a VAE takes a feature's values to be, given the latent vector.</summary>
public enum VaeLikelihood
{
    /// <summary>
    /// <see cref="Bernoulli"/> for pixels, and where the training rows hold both 0 and 1 and nothing else, otherwise
    /// <see cref="Gaussian"/>. The default.
    /// </summary>
    Auto,

    /// <summary>
    /// Normal, with a mean that depends on the latent vector and a deviation of the feature's own, which is learned. A
    /// feature that is constant in the training rows counts for nothing.
    /// </summary>
    Gaussian,

    /// <summary>
    /// One with a probability that depends on the latent vector, otherwise zero. Values in between, such as greys, count
    /// as that share of a one. All training values but those of images, whose range is known, must lie in [0, 1].
    /// </summary>
    Bernoulli,
}

/// <summary>What a VAE gives as a row's score.</summary>
public enum VaeScore
{
    /// <summary>
    /// The negative logarithm of the row's density, in nats, estimated by importance sampling with
    /// <see cref="VariationalOptions.ScoreSamples"/> latent vectors (Burda 2016); with one it is the negative ELBO. The
    /// default of a VAE that is no detector. Where a Bernoulli feature holds a value between zero and one, such as a
    /// grey, the value's own entropy is taken off: a row is strange by how it differs from what was expected, not by
    /// how grey it is.
    /// </summary>
    NegativeLogLikelihood,

    /// <summary>
    /// The negative logarithm of the row's density given the mean of its latent distribution, in nats: how badly it is
    /// reconstructed, whatever its latent vector.
    /// </summary>
    Reconstruction,

    /// <summary>
    /// How unlike the training rows, by four parts, each divided by its usual size on them (their median, and a tenth of
    /// their mean). First, the negative ELBO for the mean of the row's latent distribution, as far as it lies above the
    /// least that any decoder could reach. Second, how differently the encoder sees the row and its reconstruction: the
    /// mean squared difference of its last hidden units, each in units of its usual one (Kim 2020, RaPP); for a
    /// reconstruction may be close feature by feature only for want of anything to get wrong. Third and fourth, squared
    /// distances to stored training rows, <see cref="VariationalOptions.ReferenceRows"/>: to the nearest few, which see
    /// small gaps, and to the nearest many of a few, which see past clusters of anomalies; images are compared by their
    /// outlines: how strongly brightness rises in each of eight directions around each place of a grid, in shares of all
    /// that rises (Dalal and Triggs 2005), so that neither light nor contrast counts there; the image's height and its width
    /// are each halved until the grid's is at most 8. The default of a detector.
    /// </summary>
    Novelty,
}
