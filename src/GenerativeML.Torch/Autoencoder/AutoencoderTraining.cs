using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>What the training loop does with a batch of rows: noise in, and the squared error of what comes out.</summary>
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

    private torch.Tensor Error(torch.Tensor rows, torch.Generator random, torch.Generator? dropout)
    {
        AutoencoderShape shape = _model.Shape;
        torch.Tensor clean = _model.Standardize(rows);
        torch.Tensor input = clean.unsqueeze(0).expand(shape.Members, -1, -1);
        torch.Tensor? weight = null;
        if (shape.Noise.High > 0)
        {
            long[] perRow = [shape.Members, rows.shape[0], 1];
            torch.Tensor noise = torch.empty(input.shape, torch.ScalarType.Float32, rows.device).normal_(0, 1, random);
            if (shape.Noise.HasLevels)
            {
                torch.Tensor log = torch.empty(perRow, torch.ScalarType.Float32, rows.device)
                    .uniform_(Math.Log(shape.Noise.Low), Math.Log(shape.Noise.High), random);
                torch.Tensor level = log.exp();
                // Much noise leaves a large error that no network can undo; it should not drown out the rest.
                weight = level.square().add_(0.1).reciprocal_();
                input = torch.cat([input.add(noise.mul_(level)), log], 2);
            }
            else
            {
                input = input.add(noise.mul_(shape.Noise.High));
            }
        }
        torch.Tensor output = _model.Network.Decode(_model.Network.Encode(input, dropout), dropout);
        torch.Tensor error = output.sub(clean).square();
        return (weight is null ? error : error.mul(weight)).mean();
    }
}
