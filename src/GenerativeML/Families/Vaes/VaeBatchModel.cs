
namespace GenerativeML;

/// <summary>Between the row mapper and a trained VAE: which output goes to which column.</summary>
internal sealed class VaeBatchModel : TrainedBatchModel<TrainedVae>
{
    private readonly int _featureScore, _reconstruction, _latent, _deviation;

    public VaeBatchModel(TrainedVae model, VaeColumns columns, NonFiniteReplacement? replacement)
        : base(
            model,
            Fields(columns, model.Shape),
            columns.Outputs(model.Shape.InputWidth, model.Shape.LatentDimension),
            replacement,
            columns.Score,
            columns.PredictedLabel,
            model.Threshold)
    {
        _featureScore = IndexOf(columns.FeatureScore);
        _reconstruction = IndexOf(columns.Reconstruction);
        _latent = IndexOf(columns.Latent);
        _deviation = IndexOf(columns.LatentDeviation);
    }

    /// <summary>What a VAE of a shape reads.</summary>
    public static IReadOnlyList<RowField> Fields(VaeColumns columns, VaeShape shape) =>
        VectorFields.Of(columns.Features, shape.InputWidth, columns.Conditions, shape.ConditionWidths);

    protected override void Compute(
        TrainedVae model, RowBlock inputs, int rows, OutputBlock outputs, Memory<float> scores) => model.Compute(
            inputs, rows, new VaeOutputs
            {
                Score = scores,
                FeatureScore = Values(outputs, rows, _featureScore),
                Reconstruction = Values(outputs, rows, _reconstruction),
                Latent = Values(outputs, rows, _latent),
                Deviation = Values(outputs, rows, _deviation),
            });
}
