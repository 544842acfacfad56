using System.Buffers;
using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>Between the row mapper and a model of vectors: which output goes where, labels by a threshold.</summary>
internal sealed class VectorBatchModel : IBatchModel
{
    // Enough rows to make the cost of operator calls small, few enough for a CPU's caches; fewer where rows are wide.
    private const int MaxRows = 256;
    private const int MaxValues = 1 << 18;
    private const int MinRows = 16;

    // Enough batches that threads seldom wait for each other; fewer where rows are wide, which take longer anyway.
    private const int MaxAhead = 15;
    private const int MaxValuesAhead = 1 << 19;

    private readonly TrainedVector _model;
    private readonly CalibrationScores? _calibration;
    private readonly int _score, _label, _pValue, _featureScore, _reconstruction, _latent, _deviation, _map, _translation, _classes;

    public VectorBatchModel(VectorModelState state)
    {
        VectorNetwork network = state.Model.Network;
        VectorColumns columns = state.Options.Columns;
        _model = state.Model;
        _calibration = state.Calibration;
        Inputs = state.Fields;
        Outputs = columns.Outputs(
            network.Input.Width, (network as IEncoder)?.LatentDimension ?? 1, network.Input.Image, state.Schema.Class);
        _classes = network is IClassifier ? network.Input.Classes : 0;
        Replacement = state.Replacement;
        Threshold = state.Threshold;
        _score = IndexOf(columns.Score);
        _label = IndexOf(columns.PredictedLabel);
        _pValue = IndexOf(columns.PValue);
        _featureScore = IndexOf(columns.FeatureScore);
        _reconstruction = IndexOf(columns.Reconstruction);
        _latent = IndexOf(columns.Latent);
        _deviation = IndexOf(columns.LatentDeviation);
        _map = IndexOf(columns.AnomalyMap);
        _translation = IndexOf(columns.Translation);

        int width = Inputs.Sum(f => f.Width);
        BatchSize = Math.Clamp(MaxValues / width, MinRows, MaxRows);
        // What torch computes with gradients takes long, and it uses all threads.
        bool requiresTorch = network.RequiresTorch(VectorOutputs.Score)
            || _reconstruction >= 0 && network.RequiresTorch(VectorOutputs.Reconstruction);
        BatchesAhead = requiresTorch ? 0 : Math.Clamp(MaxValuesAhead / (BatchSize * width), 1, MaxAhead);
    }

    public IReadOnlyList<RowField> Inputs { get; }

    public IReadOnlyList<OutputColumn> Outputs { get; }

    public int BatchSize { get; }

    public int BatchesAhead { get; }

    public NonFiniteReplacement? Replacement { get; }

    /// <summary>The label is whether the score is above it.</summary>
    public float Threshold { get; set; }

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        Memory<float> scores = Values(_score), pValues = Values(_pValue);
        if (_classes > 0)
        {
            RunClasses(inputs, rows, outputs, scores);
            return;
        }
        bool label = _label >= 0 && outputs.IsWanted(_label), silent = scores.IsEmpty && (label || !pValues.IsEmpty);
        float[] rented = ArrayPool<float>.Shared.Rent(silent ? rows : 0);
        try
        {
            if (silent)
                scores = rented.AsMemory(0, rows);
            _model.Compute(inputs, rows, new VectorResults
            {
                Score = scores,
                FeatureScore = Values(_featureScore),
                Reconstruction = Values(_reconstruction),
                Latent = Values(_latent),
                LatentDeviation = Values(_deviation),
                AnomalyMap = Values(_map),
                Translation = Values(_translation),
            });
            for (int row = 0; label && row < rows; row++)
                outputs.Booleans(_label)[row] = !(scores.Span[row] <= Threshold); // a score of NaN is strange, too
            for (int row = 0; row < pValues.Length; row++)
                pValues.Span[row] = _calibration!.PValue(scores.Span[row]);
        }
        finally
        {
            ArrayPool<float>.Shared.Return(rented);
        }

        Memory<float> Values(int column) => this.Values(column, rows, outputs);
    }

    // Of a classifier scores are the classes' probabilities, and the label is the most probable one.
    private void RunClasses(RowBlock inputs, int rows, OutputBlock outputs, Memory<float> scores)
    {
        bool label = _label >= 0 && outputs.IsWanted(_label);
        if (label && scores.IsEmpty)
            scores = new float[rows * _classes];
        _model.Compute(inputs, rows, new VectorResults { Class = scores, Latent = Values(_latent, rows, outputs) });
        for (int row = 0; label && row < rows; row++)
            outputs.Keys(_label)[row] = 1 + (uint)TensorPrimitives.IndexOfMax<float>(scores.Span.Slice(row * _classes, _classes));
    }

    // Where an output of these rows goes; empty for one that is not wanted.
    private Memory<float> Values(int column, int rows, OutputBlock outputs) => column >= 0 && outputs.IsWanted(column)
        ? outputs.SingleMemory(column)[..(rows * Math.Max(1, Outputs[column].Width))]
        : default;

    public void Dispose() => _model.Dispose();

    /// <summary>The number of an output; −1 for none of that name.</summary>
    private int IndexOf(string? name) => Array.FindIndex([.. Outputs], column => column.Name == name);
}
