using TorchSharp;

namespace GenerativeML;

/// <summary>
/// What a family gives the training loop: tensors, which of them are updated how often, and a loss for a batch.
/// Adversarial families give several updates; they are made in order, each with its own optimizer.
/// </summary>
internal interface ITrainable
{
    /// <summary>All tensors that training changes, by name: checkpoints and best weights are taken of them.</summary>
    IReadOnlyList<(string Name, torch.Tensor Value)> State { get; }

    /// <summary>How often a row passes through the largest layer in a step: its positions.</summary>
    int PositionsPerRow => 1;

    /// <summary>Rows of a batch that a loss looks at together: those of a group stay in one part of it.</summary>
    int RowsTogether => 1;

    /// <summary>
    /// Whether the loss takes totals of all processes (<see cref="StepContext.Total"/>), each of which then needs rows. All have
    /// to ask as often: batches of such a loss have no weights, of which a process may have none, and no parts.
    /// </summary>
    bool TakesTotals => false;

    /// <summary>
    /// Whether the loss of a step is the sum of those of parts of its rows, one after the other: not where it divides by sums,
    /// or moves a state of its own.
    /// </summary>
    bool IsComputedInParts => !TakesTotals;

    /// <summary>
    /// Tensors of the state that hold something of each row of a batch from one step to the next, (…, B, …), by the second
    /// axis.
    /// </summary>
    IReadOnlyList<torch.Tensor> RowStates => [];

    /// <summary>The updates of a step, in order; none of an <see cref="IClosedFormFit"/>.</summary>
    IReadOnlyList<UpdateRule> Updates { get; }

    /// <summary>
    /// The terms, weighted, whose sum update number <paramref name="update"/> lowers on a batch. Each is a scalar with
    /// a gradient; random numbers come from <see cref="StepContext.Random"/> alone.
    /// </summary>
    IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step);

    /// <summary>
    /// Whether the loss has added its gradients already, as far as there are any, each counting
    /// <see cref="StepContext.Share"/>.
    /// </summary>
    bool LossAddsGradients => false;

    /// <summary>The terms on held-back rows, without gradient; early stopping watches their sum.</summary>
    IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step);

    /// <summary>Whether a lower validation loss means better weights; if not, it is not asked for.</summary>
    bool WatchesValidation => true;

    /// <summary>Whether no more is to be learned, told by the state, so that training ends with the epoch.</summary>
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

/// <summary>
/// Parameters that one optimizer moves at every so-many-th step, by AdamW but for what Muon moves; those of two
/// dimensions or more are subject to weight decay. Checkpoints call the optimizer's state by the name. Parameters of other
/// updates take no gradients in it, unless a later one goes on with what was computed by them: <c>LeavesGraph</c>.
/// </summary>
internal sealed record UpdateRule(
    string Name, IReadOnlyList<torch.Tensor> Parameters, int Every = 1, double RateScale = 1,
    AdamSettings? Adam = null, MuonSettings? Muon = null, bool LeavesGraph = false);

/// <summary>One named, weighted part of a loss, a scalar.</summary>
internal readonly record struct LossTerm(string Name, torch.Tensor Value);

/// <summary>
/// Where in the run a loss is computed. All that is random comes from a state that follows from the run's seed and the
/// step's number alone; <c>Seed</c> is what it was seeded with. <c>Share</c> is what the batch counts of the step's: 1,
/// unless gradients are accumulated or several processes share the step. <c>Total</c> adds numbers up over the processes that
/// share it, which all have to ask alike; null for one. <c>GradientNorm</c>, after an update, is the norm of its gradients where
/// this process has only some of them; otherwise null.
/// </summary>
internal readonly record struct StepContext(
    long Step, long Steps, SeededRandom Random, ulong Seed = 0, double Share = 1, Func<double[], double[]>? Total = null,
    double? GradientNorm = null)
{
    /// <summary>Which of the step's rows a batch of so many is.</summary>
    public RowRange RowsOf(int count) => Random?.Rows ?? new(0, count, count);

    /// <summary>
    /// What a sum over what counts of a batch is to be divided by, so that the loss is the mean over that of all processes; at
    /// least one.
    /// </summary>
    public torch.Tensor Divisor(torch.Tensor counts)
    {
        torch.Tensor sum = counts.sum();
        return Total is null
            ? sum.AtLeast(1)
            : torch.zeros_like(sum).Plus(Math.Max(1, Total([sum.item<float>()])[0]) * Share);
    }

    /// <summary>Means over the batch, or the limit where the means over those of all processes are below it.</summary>
    public torch.Tensor AtLeast(torch.Tensor means, double limit)
    {
        if (Total is null)
            return means.AtLeast(limit);
        using torch.Tensor host = means.detach().cpu();
        double share = Share;
        double[] all = Total([.. host.data<float>().Select(mean => share * mean)]);
        torch.Tensor above = torch.tensor(Array.ConvertAll(all, mean => mean > limit ? 1f : 0), device: means.device).view(means.shape);
        return means.mul(above).Plus(above.Scaled(-limit)).Plus(limit);
    }

    /// <summary>The steps of each phase of a run, where it has so many.</summary>
    public static long PhaseSteps(long steps, int phases) => Math.Max(1, steps / phases);

    /// <summary>Which phase of the run this is, of so many, counted from zero.</summary>
    public int PhaseOf(int phases) => (int)Math.Min(Step / PhaseSteps(Steps, phases), phases - 1);
}
