using TorchSharp;

namespace GenerativeML;

/// <summary>
/// What a family gives the training loop: tensors, which of them are updated how often, and a loss for a batch.
/// Adversarial families give several updates; they are made in order, each with its own optimizer.
/// </summary>
internal interface ITrainable
{
    /// <summary>
    /// Every parameter and buffer that training changes, by name; checkpoints and best weights are taken of them.
    /// </summary>
    IReadOnlyList<(string Name, torch.Tensor Value)> State { get; }

    /// <summary>
    /// How often a row passes through the largest layer in a step: once, or once for each of its positions.
    /// </summary>
    int PositionsPerRow => 1;

    /// <summary>
    /// The updates of a step, in the order in which they are made. None: <see cref="Loss"/> is asked for, and learns.
    /// </summary>
    IReadOnlyList<UpdateRule> Updates { get; }

    /// <summary>
    /// The terms, weighted, whose sum update number <paramref name="update"/> lowers on a batch. Each is a scalar with
    /// a gradient; random numbers come from <see cref="StepContext.Random"/> alone.
    /// </summary>
    IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step);

    /// <summary>
    /// Adds to the parameters' gradients those of the terms that <see cref="Loss"/> gave, each counting
    /// <see cref="StepContext.Share"/>.
    /// </summary>
    void Backward(IReadOnlyList<LossTerm> terms, StepContext step)
    {
        torch.Tensor sum = terms[0].Value;
        for (int i = 1; i < terms.Count; i++)
            sum = sum.add(terms[i].Value);
        using Scalar share = step.Share;
        (step.Share == 1 ? sum : sum.mul(share)).backward();
    }

    /// <summary>
    /// The terms on a batch of held-back rows, each the batch's mean, without gradient; their sum is what early
    /// stopping watches.
    /// </summary>
    IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step);

    /// <summary>
    /// Whether a lower validation loss means better weights, so that the best epoch's are kept and training may stop
    /// early. A family whose losses say no such thing is not asked for its validation loss.
    /// </summary>
    bool WatchesValidation => true;

    /// <summary>Whether no more is to be learned, so that training ends with the epoch; told by <see cref="State"/>.</summary>
    bool IsSettled => false;

    /// <summary>Called when all rows of an epoch were seen, without gradient.</summary>
    void EndEpoch()
    {
    }

    /// <summary>
    /// Called after update number <paramref name="update"/> has moved its parameters, without gradient: for weights
    /// that are clipped or averaged. What it changes belongs to <see cref="State"/>, or a resumed run would lose it.
    /// </summary>
    void AfterUpdate(int update, StepContext step)
    {
    }
}

/// <summary>Parameters that one optimizer moves.</summary>
/// <param name="Name">What checkpoints call its state.</param>
/// <param name="Parameters">The parameters; those whose last two dimensions have several rows are
/// subject to weight decay.</param>
/// <param name="Every">The update is made at every so-many-th step.</param>
/// <param name="RateScale">A factor on the learning rate.</param>
/// <param name="Adam">AdamW's constants. Default: the paper's own.</param>
/// <param name="Muon">What Muon moves in AdamW's place. Default: nothing.</param>
internal sealed record UpdateRule(
    string Name, IReadOnlyList<torch.Tensor> Parameters, int Every = 1, double RateScale = 1,
    AdamSettings? Adam = null, MuonSettings? Muon = null);

/// <summary>One named, weighted part of a loss, a scalar.</summary>
internal readonly record struct LossTerm(string Name, torch.Tensor Value);

/// <summary>Where in the run a loss is computed.</summary>
/// <param name="Step">The number of the step, counted from zero.</param>
/// <param name="Steps">The number of steps of the whole run.</param>
/// <param name="Random">
/// Where everything random in this step comes from. Its state follows from the run's seed and the step's number alone.
/// </param>
/// <param name="Seed">What <paramref name="Random"/> was seeded with.</param>
/// <param name="Share">The share of the step's rows that the batch holds: 1, unless gradients are accumulated.</param>
internal readonly record struct StepContext(
    long Step, long Steps, SeededRandom Random, ulong Seed = 0, double Share = 1);
