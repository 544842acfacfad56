
using GenerativeML;
namespace Microsoft.ML;

/// <summary>Autoencoders among the trainers of <see cref="AnomalyDetectionCatalog"/>.</summary>
public static class AutoencoderCatalog
{
    /// <summary>Creates an <see cref="AutoencoderTrainer"/>, which scores rows by how strange they are.</summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="featureColumnName">The input: a vector of <see cref="float"/> of known size.</param>
    /// <param name="contamination">The share of the training rows that are taken to be anomalies, in (0, 0.5].</param>
    /// <param name="latentDimension">The width of the innermost layer. Default: by the family's own rule.</param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty.</exception>
    public static AutoencoderTrainer Autoencoder(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog,
        string featureColumnName = "Features",
        double contamination = 0.1,
        int? latentDimension = null,
        int? epochs = null) => catalog.Autoencoder(new AutoencoderOptions
        {
            FeatureColumnName = featureColumnName,
            Contamination = contamination,
            LatentDimension = latentDimension,
            Epochs = epochs,
        });

    /// <summary>Creates an <see cref="AutoencoderTrainer"/> with all its options.</summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, or two columns would be added under one name.
    /// </exception>
    public static AutoencoderTrainer Autoencoder(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, AutoencoderOptions options) =>
        new(MLNetInternals.EnvironmentOf(catalog), options);
}
