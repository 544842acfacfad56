using GenerativeML;

namespace Microsoft.ML;

/// <summary>Variational autoencoders among the trainers of <see cref="AnomalyDetectionCatalog"/>.</summary>
public static class VaeCatalog
{
    /// <summary>Creates a <see cref="VaeTrainer"/> that scores rows by how unlike the training rows they are.</summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="featureColumnName">The input: a vector of <see cref="float"/> of known size.</param>
    /// <param name="contamination">The share of the training rows that are taken to be anomalies, in (0, 0.5].</param>
    /// <param name="latentDimension">Features of a latent vector. Default: by the family's own rule.</param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty.</exception>
    public static VaeTrainer VariationalAutoencoder(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog,
        string featureColumnName = "Features",
        double contamination = 0.1,
        int? latentDimension = null,
        int? epochs = null) => catalog.VariationalAutoencoder(new VaeOptions
        {
            FeatureColumnName = featureColumnName,
            Contamination = contamination,
            LatentDimension = latentDimension,
            Epochs = epochs,
        });

    /// <summary>
    /// Creates a <see cref="VaeTrainer"/> that detects anomalies: it adds the columns <c>Score</c> and
    /// <c>PredictedLabel</c>, or others that the options name in their place.
    /// </summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, or two columns would be added under one name.
    /// </exception>
    public static VaeTrainer VariationalAutoencoder(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, VaeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return new(MLNetInternals.EnvironmentOf(catalog), options.Scoring(detects: true));
    }
}
