using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>
/// What the training loop does with a batch of rows: noise in, and the squared error of what comes out.
/// </summary>
internal sealed class AutoencoderTraining : ITrainable
{
    private readonly AutoencoderModel _model;

    public AutoencoderTraining(AutoencoderModel model)
    {
        _model = model;
        Updates = [new UpdateRule("autoencoder", model.Network.TrainedTensors())];
    }

    public torch.nn.Module Network => _model.Network;

    public IReadOnlyList<UpdateRule> Updates { get; }

    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step)
    {
        if (!_model.Network.training)
            _model.Network.train();
        return [new LossTerm("reconstruction", Error(batch[0], step.Random, step.Random))];
    }

    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step)
    {
        _model.Network.eval();
        return [new LossTerm("reconstruction", Error(batch[0], step.Random, dropout: null))];
    }

    private torch.Tensor Error(torch.Tensor rows, SeededRandom random, SeededRandom? dropout)
    {
        AutoencoderShape shape = _model.Shape;
        torch.Tensor clean = _model.Standardize(rows);
        torch.Tensor noisy = clean.unsqueeze(0).expand(shape.Members, -1, -1);
        long[] perRow = [shape.Members, rows.shape[0], 1];
        torch.Tensor? level = null, weight = null;
        if (shape.Noise.HasLevels)
        {
            level = random.Uniform(perRow, Math.Log(shape.Noise.Low), Math.Log(shape.Noise.High));
            torch.Tensor deviation = level.exp();
            noisy = noisy.add(random.Normal(noisy.shape).mul_(deviation));
            // Much noise leaves a large error that no network can undo; it should not drown out the rest.
            weight = deviation.square().add_(0.1).reciprocal_();
        }
        else if (shape.Noise.High > 0)
        {
            noisy = noisy.add(random.Normal(noisy.shape, shape.Noise.High));
        }
        var inputs = new List<torch.Tensor> { noisy };
        if (shape.Noise.Masked > 0)
        {
            torch.Tensor share = random.Uniform(perRow, 0, shape.Noise.Masked).mul_(random.Bernoulli(perRow, 0.5));
            torch.Tensor hidden = random.Uniform(noisy.shape, 0, 1).sub_(share).lt(0).to(torch.ScalarType.Float32);
            inputs = [noisy.sub(noisy.mul(hidden)), hidden];
        }
        if (level is not null)
            inputs.Add(level);
        torch.Tensor input = inputs.Count == 1 ? noisy : torch.cat(inputs, 2);
        torch.Tensor output = _model.Network.Decode(_model.Network.Encode(input, dropout), dropout);
        torch.Tensor error = output.sub(clean).square();
        return (weight is null ? error : error.mul(weight)).mean();
    }
}
