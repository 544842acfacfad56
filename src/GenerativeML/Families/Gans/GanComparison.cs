using TorchSharp;

namespace GenerativeML;

/// <summary>Compares what a generator makes with held-back rows, as standardised rows.</summary>
internal sealed class GanComparison
{
    private readonly GanModel _model;
    private readonly torch.Device _device;
    private readonly int _seed;
    private readonly float[] _heldBack;
    private readonly float[] _training;

    public GanComparison(GanModel model, TrainingData data, RowSample training, int seed, torch.Device device)
    {
        _model = model;
        _device = device;
        _seed = seed;
        float[] heldBack = HeldBack(data, training.Count);
        int rows = heldBack.Length / Width;
        _heldBack = Standardized(heldBack);
        _training = Standardized(training.ToArray().AsSpan(0, rows * Width));
    }

    private int Width => _model.Shape.InputWidth;

    private int Rows => _heldBack.Length / Width;

    /// <summary>Closes a stage of the training with a comparison.</summary>
    public GanFigures Close(GanHistory history, int stage, long step)
    {
        if (Rows == 0)
            return history.Close(stage, step, double.NaN, double.NaN, double.NaN);
        float[] made = Standardized(Generate(Rows, _seed));
        return history.Close(
            stage, step, TwoSamples.SlicedWasserstein(made, _heldBack, Width, _seed),
            TwoSamples.MeanDiscrepancy(made, _heldBack, Width), TwoSamples.Coverage(made, _heldBack, Width));
    }

    /// <summary>All that is known at the end.</summary>
    public GanReport Report(GanHistory history) => new()
    {
        Stages = history.Stages(),
        ComparedRows = Rows,
        ReferenceSlicedWasserstein = TwoSamples.SlicedWasserstein(_training, _heldBack, Width, _seed),
        ReferenceMeanDiscrepancy = TwoSamples.MeanDiscrepancy(_training, _heldBack, Width),
        ReferenceCoverage = TwoSamples.Coverage(_training, _heldBack, Width),
    };

    /// <summary>Generated rows in the units of the data, (count × D).</summary>
    public float[] Generate(int count, int seed)
    {
        float[] rows = new float[count * Width];
        GanSampling.Generate(
            _model, _device, rows, new float[count * _model.Shape.ConditionWidth], count,
            SplitMix64.Derive(seed, RandomPurpose.Generation), []);
        return rows;
    }

    /// <summary>What the discriminator says of rows in the units of the data.</summary>
    public float[] Judge(float[] rows)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        int count = rows.Length / Width;
        float[] judged = new float[count];
        torch.Tensor seen = _model.Standardize(HostTensors.FromRows(rows, count, Width, _device));
        torch.Tensor? condition = _model.Conditions.Draw(
            new float[count * _model.Shape.ConditionWidth], count, SplitMix64.Derive(_seed, RandomPurpose.Scoring), []);
        HostTensors.CopyTo(_model.JudgeAlone(seen, condition), judged);
        return judged;
    }

    private float[] HeldBack(TrainingData data, int most)
    {
        int rows = (int)Math.Min(data.ValidationRows, most);
        if (rows == 0)
            return [];
        using DisposeScope scope = torch.NewDisposeScope();
        float[] values = new float[rows * Width];
        HostTensors.CopyTo(data.Validation(rows).First()[0], values);
        return values;
    }

    private float[] Standardized(ReadOnlySpan<float> rows)
    {
        if (rows.IsEmpty)
            return [];
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        float[] standardized = new float[rows.Length];
        HostTensors.CopyTo(
            _model.Standardize(HostTensors.FromRows(rows, rows.Length / Width, Width, _device)), standardized);
        return standardized;
    }
}
