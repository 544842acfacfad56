using System.Text.Json;

namespace GenerativeML.Benchmarks;

/// <summary>A generator's quality with one seed.</summary>
/// <param name="Seed">Decides the split, the training and the rows.</param>
/// <param name="TrainingSeconds">How long the fit took.</param>
/// <param name="GenerationSeconds">How long the rows took, written to the file.</param>
/// <param name="Shape">Mean column shape against the training rows.</param>
/// <param name="Pairs">Mean pair trend against the training rows.</param>
/// <param name="Detection">AUROC of logistic regression telling synthetic rows from training rows, if enough.</param>
/// <param name="DistanceRatio">Median distance to the closest training row, by that of the test rows.</param>
/// <param name="Copies">The share of synthetic rows that equal a training row.</param>
/// <param name="TestCopies">The share of test rows that do.</param>
/// <param name="Real">Logistic regression trained on real rows, tested on the test rows.</param>
/// <param name="Synthetic">The same, trained on synthetic rows.</param>
/// <param name="Judge">What scikit-learn says; null where it was not asked.</param>
internal sealed record TabularResult(
    int Seed,
    double TrainingSeconds,
    double GenerationSeconds,
    double Shape,
    double Pairs,
    double? Detection,
    double DistanceRatio,
    double Copies,
    double TestCopies,
    ClassifierQuality Real,
    ClassifierQuality Synthetic,
    JsonElement? Judge);
