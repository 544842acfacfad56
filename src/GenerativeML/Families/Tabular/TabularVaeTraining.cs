using TorchSharp;

namespace GenerativeML;

/// <summary>What the training loop does with a batch of tokens: the two terms of the negative ELBO.</summary>
internal sealed class TabularVaeTraining : ITrainable, IDisposable
{
    private readonly TabularVaeNetwork _network;
    private readonly TabularVaeOptions _options;
    private readonly Weights _weights;

    /// <param name="network">The network to train.</param>
    /// <param name="average">One of the same shape, for its mean weights.</param>
    /// <param name="options">The terms' weights.</param>
    public TabularVaeTraining(TabularVaeNetwork network, TabularVaeNetwork average, TabularVaeOptions options)
    {
        _network = network;
        _options = options;
        _weights = new Weights(network, average);
        WeightAverage.Copy(average, network);
        Updates = [new UpdateRule("vae", network.TrainedTensors())];
    }

    /// <inheritdoc/>
    public torch.nn.Module Network => _weights;

    /// <inheritdoc/>
    public IReadOnlyList<UpdateRule> Updates { get; }

    /// <inheritdoc/>
    public int PositionsPerRow => _network.Decoder.Shape.Tokens.Count;

    /// <inheritdoc/>
    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step)
    {
        (torch.Tensor reconstruction, torch.Tensor kl) = _network.Loss(batch[0], step.Random, _options.Dropout);
        torch.Tensor pressed = _options.FreeBits > 0 ? kl.clamp_min(_options.FreeBits) : kl;
        return
        [
            new LossTerm("reconstruction", reconstruction),
            new LossTerm("kl", pressed.sum().mul(_options.KlWeight)),
        ];
    }

    /// <inheritdoc/>
    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step)
    {
        // What counts is what will be kept: the mean weights.
        (torch.Tensor reconstruction, torch.Tensor kl) = _weights.Average.Loss(batch[0], step.Random);
        return
        [
            new LossTerm("reconstruction", reconstruction),
            new LossTerm("kl", kl.sum().mul(_options.KlWeight)),
        ];
    }

    /// <inheritdoc/>
    public void AfterUpdate(int update, StepContext step) =>
        WeightAverage.Update(_weights.Average, _network, _options.WeightAverageDecay, step.Step);

    /// <inheritdoc/>
    public void Dispose() => _weights.Dispose();

    /// <summary>All that training changes: the moving weights, and their mean.</summary>
    private sealed class Weights : torch.nn.Module
    {
        private readonly TabularVaeNetwork network, average;

        public Weights(TabularVaeNetwork network, TabularVaeNetwork average)
            : base(nameof(Weights))
        {
            this.network = network;
            this.average = average;
            RegisterComponents();
        }

        public TabularVaeNetwork Average => average;
    }
}
