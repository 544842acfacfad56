using TorchSharp;
using TorchSharp.Modules;

namespace GenerativeML.Tests;

/// <summary>
/// The smallest family: y = w·x on rows (x, y), so that every answer of the training loop is known.
/// </summary>
internal sealed class LinearFamily : ITrainable, IDisposable
{
    private readonly Line _line = new();

    public IReadOnlyList<(string Name, torch.Tensor Value)> State => [("weight", _line.weight)];

    public IReadOnlyList<UpdateRule> Updates => [new UpdateRule("line", [_line.weight])];

    /// <summary>The slope.</summary>
    public float Weight => _line.weight.item<float>();

    /// <summary>Noise added to x in each step, by the run's generator.</summary>
    public double Noise { get; init; }

    /// <summary>Told the number of each step before it is made.</summary>
    public Action<long>? OnStep { get; init; }

    /// <summary>Told the number of each step after it was made.</summary>
    public Action<long>? OnUpdate { get; init; }

    /// <summary>Whether the loss is one that takes totals.</summary>
    public bool TakesTotals { get; init; }

    /// <summary>Whether a process has a loss in a step.</summary>
    public Func<long, bool> HasLoss { get; init; } = _ => true;

    /// <summary>In this step the gradient is a number whose square is none.</summary>
    public long HugeAt { get; init; } = -1;

    /// <summary>From this step on the loss is not a number.</summary>
    public long DivergeAt { get; init; } = long.MaxValue;

    /// <summary>In this step the loss is a number, and its gradient is none.</summary>
    public long BreakAt { get; init; } = -1;

    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step)
    {
        OnStep?.Invoke(step.Step);
        torch.Tensor x = batch[0].narrow(1, 0, 1);
        if (Noise > 0)
            x = x.add(step.Random.Normal(x.shape, Noise));
        torch.Tensor loss = Error(x, batch);
        if (!HasLoss(step.Step))
            return [];
        if (step.Step == HugeAt)
            loss = loss.add(_line.weight.sub(_line.weight.detach()).mul(1e25).sum());
        if (step.Step == BreakAt)
            loss = loss.add(_line.weight.sub(_line.weight).sqrt().sum()); // √0 has no finite gradient
        return [new LossTerm("error", step.Step >= DivergeAt ? loss.mul(double.NaN) : loss)];
    }

    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step) =>
        [new LossTerm("error", Error(batch[0].narrow(1, 0, 1), batch))];

    public void AfterUpdate(int update, StepContext step) => OnUpdate?.Invoke(step.Step);

    public void Dispose() => _line.Dispose();

    private torch.Tensor Error(torch.Tensor x, Batch batch) =>
        _line.call(x).sub(batch[0].narrow(1, 1, 1)).square().mean();

    private sealed class Line : torch.nn.Module<torch.Tensor, torch.Tensor>
    {
        internal readonly Parameter weight;

        public Line()
            : base(nameof(Line))
        {
            weight = new Parameter(torch.zeros(1, 1));
            RegisterComponents();
        }

        public override torch.Tensor forward(torch.Tensor input) => input.mul(weight);
    }
}
