using TorchSharp;

namespace GenerativeML;

/// <summary>
/// What the training loop does with a batch of rows: noise in, and the squared error of what comes out.
/// </summary>
internal sealed class AutoencoderTraining : ITrainable, IDisposable
{
    private readonly AutoencoderModel _model;
    private readonly IReadOnlyList<torch.Tensor> _parameters;

    /// <param name="model">What is trained.</param>
    public AutoencoderTraining(AutoencoderModel model)
    {
        _model = model;
        _parameters = model.Network.TrainedTensors();
        Updates = [new UpdateRule("autoencoder", _parameters)];
    }

    public torch.nn.Module Network => _model.Network;

    public IReadOnlyList<UpdateRule> Updates { get; }

    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step)
    {
        if (!_model.Network.training)
            _model.Network.train();
        torch.Tensor error = Error(batch[0], step.Random, step.Random);
        return [new LossTerm("reconstruction", error)];
    }

    public void Backward(IReadOnlyList<LossTerm> terms, StepContext step)
    {
        terms[0].Value.mul(step.Share).backward();
    }

    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step)
    {
        _model.Network.eval();
        return [new LossTerm("reconstruction", Error(batch[0], step.Random, dropout: null))];
    }

    /// <summary>Ends the threads that managed steps are computed on.</summary>
    public void Dispose() { }

    private torch.Tensor Error(torch.Tensor rows, SeededRandom random, SeededRandom? dropout)
    {
        AutoencoderShape shape = _model.Shape;
        torch.Tensor clean = _model.Standardize(rows);
        var drawn = new AutoencoderNoise(shape, rows.shape[0], random);
        torch.Tensor noisy = clean.unsqueeze(0).expand(shape.Members, -1, -1);
        torch.Tensor? deviation = drawn.Level?.exp();
        if (drawn.Normal is not null)
            noisy = noisy.add(deviation is null ? drawn.Normal : drawn.Normal.mul(deviation));
        var inputs = new List<torch.Tensor> { noisy };
        if (drawn.MaskedShare is not null)
        {
            torch.Tensor hidden = drawn.Uniform!.sub(drawn.MaskedShare).lt(0).to(torch.ScalarType.Float32);
            inputs = [noisy.sub(noisy.mul(hidden)), hidden];
        }
        if (drawn.Level is not null)
            inputs.Add(drawn.Level);
        torch.Tensor input = inputs.Count == 1 ? noisy : torch.cat(inputs, 2);
        torch.Tensor output = _model.Network.Decode(_model.Network.Encode(input, dropout), dropout);
        torch.Tensor error = output.sub(clean).square();
        return (deviation is null ? error : error.mul(AutoencoderNoise.Weight(deviation))).mean();
    }
}
