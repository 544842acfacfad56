
namespace GenerativeML;

/// <summary>Between the row mapper and a trained autoencoder: which output goes to which column.</summary>
internal sealed class AutoencoderBatchModel : TrainedBatchModel<TrainedAutoencoder>
{
    private readonly int _featureScore, _reconstruction, _latent;

    public AutoencoderBatchModel(
        TrainedAutoencoder model, AutoencoderColumns columns, NonFiniteReplacement? replacement)
        : base(
            model,
            [new RowField(columns.Features, FieldKind.Single, model.InputWidth)],
            columns.Outputs(model.InputWidth, model.LatentDimension),
            replacement,
            columns.Score,
            columns.PredictedLabel,
            model.Threshold)
    {
        _featureScore = IndexOf(columns.FeatureScore);
        _reconstruction = IndexOf(columns.Reconstruction);
        _latent = IndexOf(columns.Latent);
    }

    protected override void Compute(
        TrainedAutoencoder model, RowBlock inputs, int rows, OutputBlock outputs, Memory<float> scores) => model.Compute(
            inputs.SingleMemory(0), rows, new AutoencoderOutputs
            {
                Score = scores,
                FeatureScore = Values(outputs, rows, _featureScore),
                Reconstruction = Values(outputs, rows, _reconstruction),
                Latent = Values(outputs, rows, _latent),
            });
}
