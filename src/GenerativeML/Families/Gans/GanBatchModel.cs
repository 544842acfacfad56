
namespace GenerativeML;

/// <summary>Between the row mapper and a trained GAN: which output goes to which column.</summary>
internal sealed class GanBatchModel : TrainedBatchModel<TrainedGan>
{
    private readonly int _reconstruction;

    public GanBatchModel(TrainedGan model, GanColumns columns, NonFiniteReplacement? replacement)
        : base(
            model,
            VectorFields.Of(columns.Features, model.InputWidth, columns.Conditions, model.ConditionWidths),
            columns.Outputs(model.InputWidth),
            replacement,
            columns.Score,
            label: null,
            threshold: float.PositiveInfinity)
    {
        _reconstruction = IndexOf(columns.Reconstruction);
    }

    /// <inheritdoc/>
    /// <remarks>To search for a row's noise takes long, and torch uses all threads for it.</remarks>
    public override int BatchesAhead => 0;

    protected override void Compute(
        TrainedGan model, RowBlock inputs, int rows, OutputBlock outputs, Memory<float> scores) =>
        model.Compute(inputs, rows, scores.Span, Values(outputs, rows, _reconstruction).Span);
}
