namespace GenerativeML;

/// <summary>
/// What the rows are worth for predicting a label: logistic regression (ML.NET's, by L-BFGS) trained on them, tested on
/// held-out real rows. It sees one-hot categories, and numbers in standard units and in bins.
/// </summary>
/// <param name="Label">The label's column.</param>
/// <param name="Real">Trained on real rows.</param>
/// <param name="Synthetic">Trained on synthetic rows.</param>
/// <param name="Both">Trained on both.</param>
public sealed record LabelUtility(
    string Label, ClassifierQuality Real, ClassifierQuality Synthetic, ClassifierQuality Both);

/// <summary>How well a classifier does on held-out rows.</summary>
/// <param name="F1">
/// Of the rarer class, where there are two; the mean over the classes, each against the rest, where there are more.
/// </param>
/// <param name="Auroc">The area under the ROC curve, of the same.</param>
public sealed record ClassifierQuality(double F1, double Auroc);
