namespace GenerativeML.Benchmarks;

/// <summary>What <c>bench.sh vae</c> measures of one recipe on one kind of pixels.</summary>
/// <param name="Recipe"><c>reference</c>, <c>defaults</c> or <c>convolutional</c>.</param>
/// <param name="Pixels"><c>grey</c> or <c>binary</c>.</param>
/// <param name="TrainingLoss">The loss at the end of each epoch, in nats per image.</param>
/// <param name="NegativeElbo">On the test images, in nats per image.</param>
/// <param name="OutlierAuroc">How well the score tells the outliers from the test images; null without them.</param>
/// <param name="Seconds">Training and measuring.</param>
internal sealed record VaeResult(
    string Recipe, string Pixels, IReadOnlyList<double> TrainingLoss, double NegativeElbo, double? OutlierAuroc,
    double Seconds);

/// <summary>One class against the rest: how well a model of its training images tells the others.</summary>
/// <param name="Digit">The class.</param>
/// <param name="Auroc">Of the other classes' test images against its own.</param>
/// <param name="Seconds">A fit and its scores.</param>
internal sealed record VaeClassResult(int Digit, double Auroc, double Seconds);
