using System.Buffers;
using GenerativeML.Pipeline;
using GenerativeML.Rows;
using GenerativeML.Torch;

namespace GenerativeML.Autoencoders;

/// <summary>Between the row mapper and a trained autoencoder: which output goes to which column.</summary>
internal sealed class AutoencoderBatchModel : IBatchModel
{
    // Enough rows to make the cost of operator calls small, few enough for a CPU's caches; fewer where rows are wide.
    private const int MostRows = 256;
    private const int MostValues = 1 << 18;
    private const int LeastRows = 16;

    private readonly SharedModel<TrainedAutoencoder> _model;
    private readonly float _threshold;
    private readonly int _score, _label, _featureScore, _reconstruction, _latent;

    public AutoencoderBatchModel(
        TrainedAutoencoder model, AutoencoderColumns columns, NonFiniteReplacement? replacement)
    {
        _model = new(model);
        _threshold = model.Threshold;
        Replacement = replacement;
        Inputs = [new RowField(columns.Features, FieldKind.Single, model.InputWidth)];
        Outputs = columns.Outputs(model.InputWidth, model.LatentDimension);
        BatchSize = Math.Clamp(MostValues / model.InputWidth, LeastRows, MostRows);
        _score = IndexOf(columns.Score);
        _label = IndexOf(columns.PredictedLabel);
        _featureScore = IndexOf(columns.FeatureScore);
        _reconstruction = IndexOf(columns.Reconstruction);
        _latent = IndexOf(columns.Latent);
    }

    /// <inheritdoc/>
    public IReadOnlyList<RowField> Inputs { get; }

    /// <inheritdoc/>
    public IReadOnlyList<OutputColumn> Outputs { get; }

    /// <inheritdoc/>
    public int BatchSize { get; }

    /// <inheritdoc/>
    public NonFiniteReplacement? Replacement { get; }

    /// <summary>Uses the network itself, as for saving it.</summary>
    public void Use(Action<TrainedAutoencoder> use) => _model.Use(use);

    /// <summary>Changes the network itself, while no row is computed.</summary>
    public void Change(Action<TrainedAutoencoder> change) => _model.Change(change);

    /// <inheritdoc/>
    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        bool label = Wanted(_label), score = Wanted(_score);
        float[]? rented = label && !score ? ArrayPool<float>.Shared.Rent(rows) : null;
        try
        {
            _model.Use(model =>
            {
                Span<float> scores =
                    score ? outputs.Singles(_score)[..rows] : rented.AsSpan(0, rented is null ? 0 : rows);
                model.Compute(
                    inputs.Singles(0), rows, scores,
                    Values(_featureScore), Values(_reconstruction), Values(_latent));
                for (int row = 0; label && row < rows; row++)
                    outputs.Booleans(_label)[row] = scores[row] > _threshold;
            });
        }
        finally
        {
            if (rented is not null)
                ArrayPool<float>.Shared.Return(rented);
        }

        bool Wanted(int column) => column >= 0 && outputs.IsWanted(column);

        Span<float> Values(int column) =>
            Wanted(column) ? outputs.Singles(column)[..(rows * Outputs[column].Width)] : [];
    }

    /// <inheritdoc/>
    public void Dispose() => _model.Dispose();

    private int IndexOf(string? name)
    {
        for (int i = 0; i < Outputs.Count; i++)
        {
            if (Outputs[i].Name == name)
                return i;
        }
        return -1;
    }
}
