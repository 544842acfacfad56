
using GenerativeML;
namespace Microsoft.ML;

/// <content>Generators of tables.</content>
public sealed partial class GenerativeCatalog
{
    /// <summary>
    /// Creates a <see cref="TabularGanTrainer"/>, which learns any mixed columns and generates rows like theirs.
    /// </summary>
    /// <param name="label">The column that classifiers will be trained to predict. Default: none.</param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public TabularGanTrainer TabularGan(string? label = null, int? epochs = null) =>
        TabularGan(new TabularGanOptions { LabelColumnName = label, Epochs = epochs });

    /// <summary>Creates a <see cref="TabularGanTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty or given twice, or constraints contradict each other.
    /// </exception>
    public TabularGanTrainer TabularGan(TabularGanOptions options) => new(_environment, options);

    /// <summary>
    /// Creates a <see cref="TabularVaeTrainer"/>, which learns any mixed columns and generates rows like theirs.
    /// </summary>
    /// <param name="label">The column that classifiers will be trained to predict. Default: none.</param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public TabularVaeTrainer TabularVae(string? label = null, int? epochs = null) =>
        TabularVae(new TabularVaeOptions { LabelColumnName = label, Epochs = epochs });

    /// <summary>Creates a <see cref="TabularVaeTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty or given twice, or constraints contradict each other.
    /// </exception>
    public TabularVaeTrainer TabularVae(TabularVaeOptions options) => new(_environment, options);
}
