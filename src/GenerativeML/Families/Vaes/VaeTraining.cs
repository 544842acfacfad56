using TorchSharp;

namespace GenerativeML;

/// <summary>
/// What the training loop does with a batch of rows: the two terms of the negative ELBO (Kingma and Welling 2014), with
/// one code drawn for each row.
/// </summary>
internal sealed class VaeTraining : ITrainable, IDisposable
{
    private readonly VaeModel _model;
    private readonly VaeOptions _options;
    private readonly Weights _weights;

    /// <param name="model">The model to train; the networks of it are the ones that move.</param>
    /// <param name="options">The terms' weights.</param>
    /// <param name="average">A network of the same shape for the mean weights; null: none are kept.</param>
    public VaeTraining(VaeModel model, VaeOptions options, VaeNetwork? average)
    {
        _model = model;
        _options = options;
        _weights = new Weights(model.Network, average);
        if (average is not null)
            WeightAverage.Copy(average, model.Network);
        Updates = [new UpdateRule("vae", model.Network.TrainedTensors())];
    }

    public torch.nn.Module Network => _weights;

    public IReadOnlyList<UpdateRule> Updates { get; }

    /// <summary>Steps of an epoch.</summary>
    public long EpochSteps { get; init; } = 1;

    /// <summary>Called after each epoch, with the weights that would be kept if training ended there.</summary>
    public Action<VaeModel>? EpochEnded { get; init; }

    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step)
    {
        if (!_model.training)
            _model.train();
        double weight = KlWeight(step.Step, step.Steps);
        (torch.Tensor reconstruction, torch.Tensor kl) = Terms(batch, step.Random);
        torch.Tensor perSlot = kl.mean([0L]); // (Z)
        torch.Tensor pressed = _options.FreeBits > 0 ? perSlot.clamp_min(_options.FreeBits) : perSlot;
        return
        [
            new LossTerm("reconstruction", reconstruction.mean()),
            new LossTerm("kl", pressed.sum().mul(weight)),
        ];
    }

    public void Backward(IReadOnlyList<LossTerm> terms, StepContext step)
    {
        terms[0].Value.add(terms[1].Value).mul(step.Share).backward();
    }

    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step)
    {
        _model.eval();
        ExchangeWeights(); // what counts is what will be kept: the mean weights
        try
        {
            (torch.Tensor reconstruction, torch.Tensor kl) = Terms(batch, step.Random);
            return
            [
                new LossTerm("reconstruction", reconstruction.mean()),
                new LossTerm("kl", kl.mean([0L]).sum().mul(_options.KlWeight)),
            ];
        }
        finally
        {
            ExchangeWeights();
        }
    }

    public void AfterUpdate(int update, StepContext step)
    {
        if (_weights.Average is VaeNetwork average)
            WeightAverage.Update(average, _model.Network, _options.WeightAverageDecay, step.Step);
        if (EpochEnded is null || (step.Step + 1) % EpochSteps != 0)
            return;
        _model.eval();
        ExchangeWeights();
        EpochEnded(_model);
        ExchangeWeights();
    }

    /// <summary>The weight of the KL term at a step.</summary>
    public double KlWeight(long step, long steps)
    {
        double rise = _options.KlWarmupFraction * steps;
        return _options.KlWeight * (step < rise ? step / rise : 1);
    }

    /// <summary>Gives the model the weights to keep.</summary>
    public void Finish()
    {
        if (_weights.Average is VaeNetwork average)
            WeightAverage.Copy(_model.Network, average);
    }

    private void ExchangeWeights()
    {
        if (_weights.Average is VaeNetwork average)
            WeightAverage.Exchange(average, _model.Network);
    }

    /// <summary>Of each row: the reconstruction's negative log-likelihood (B), and the KL terms (B, Z).</summary>
    private (torch.Tensor Reconstruction, torch.Tensor Kl) Terms(Batch batch, SeededRandom random)
    {
        torch.Tensor rows = batch[0];
        torch.Tensor? condition = _model.Conditions.Scaled(ConditionStore.Of(batch));
        torch.Tensor standardized = _model.Standardize(rows);
        (torch.Tensor mean, torch.Tensor logVariance) = _model.Encode(standardized, condition);
        torch.Tensor code = mean.add(logVariance.mul(0.5).exp().mul(random.Normal(mean.shape)));
        torch.Tensor decoded = _model.Decode(code, condition);
        torch.Tensor loss = _model.SlotLoss(_model.Target(rows, standardized), decoded).sum(1L);
        return (loss, VaeModel.KlDivergence(mean, logVariance));
    }

    public void Dispose()
    {
        _weights.Average?.Dispose();
    }

    /// <summary>All that training changes: the moving weights, and their mean.</summary>
    private sealed class Weights : torch.nn.Module
    {
        private readonly VaeNetwork network;
        private readonly VaeNetwork? average;

        public Weights(VaeNetwork network, VaeNetwork? average)
            : base(nameof(Weights))
        {
            this.network = network;
            this.average = average;
            RegisterComponents();
        }

        public VaeNetwork? Average => average;
    }
}
