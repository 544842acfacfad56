namespace GenerativeML.Benchmarks;

/// <summary>What a GAN makes of a ring of Gaussians.</summary>
/// <param name="Objective">The game.</param>
/// <param name="Seed">Of the training and of its rows.</param>
/// <param name="ModesHit">Modes with at least a quarter of their fair share of the generated rows.</param>
/// <param name="NearShare">The share of generated rows within four deviations of a mode.</param>
/// <param name="SlicedWasserstein">From the report: of generated from held-back rows.</param>
/// <param name="ReferenceSlicedWasserstein">From the report: of training from held-back rows.</param>
/// <param name="Seconds">Training.</param>
internal sealed record RingResult(
    string Objective, int Seed, int ModesHit, double NearShare, double SlicedWasserstein,
    double ReferenceSlicedWasserstein, double Seconds);
