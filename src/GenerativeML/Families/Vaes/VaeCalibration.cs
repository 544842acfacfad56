using TorchSharp;

namespace GenerativeML;

/// <summary>Finds by training rows what a trained VAE's score needs: how large its parts are, and a threshold.</summary>
internal sealed class VaeCalibration
{
    /// <summary>It looks at so many rows at most.</summary>
    public const int MostRows = 10_000;

    private const int BatchRows = 256;

    private readonly VaeModel _model;
    private readonly VaeScoring _scoring;
    private readonly torch.Device _device;
    private readonly int _count;
    private readonly float[] _rows; // (count × D), in the units of the data
    private readonly float[]? _conditions; // (count × C)

    /// <param name="model">The trained networks.</param>
    /// <param name="samples">Of the modelled vector, then of each condition, all of the same rows.</param>
    /// <param name="device">Where the model is.</param>
    public VaeCalibration(VaeModel model, IReadOnlyList<RowSample> samples, torch.Device device)
    {
        _model = model;
        _scoring = new VaeScoring(model);
        _device = device;
        _count = samples[0].Count;
        _rows = samples[0].ToArray();
        if (samples.Count == 1)
            return;
        using DisposeScope scope = torch.NewDisposeScope();
        _conditions = new float[_count * model.Shape.ConditionWidth];
        HostTensors.CopyTo(ConditionStore.Sampled([.. samples.Skip(1)], device), _conditions);
    }

    /// <summary>Stores rows, and gives each part of <see cref="VaeScore.Novelty"/> its weight.</summary>
    public void Weigh()
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        VaeNovelty novelty = _model.Novelty!;
        Store(novelty.Memory);

        torch.Tensor squares = torch.zeros([_model.Shape.HiddenWidth], torch.ScalarType.Float32, _device);
        ForEachBatch((rows, conditions, _) => squares.add_(
            _scoring.Differences(rows, conditions).square().mean([0L]).mul_((double)rows.shape[0] / _count)));
        novelty.SetUnits(squares);

        float[][] parts = [.. Enumerable.Range(0, VaeNovelty.Parts).Select(_ => new float[_count])];
        ForEachBatch((rows, conditions, start) =>
        {
            torch.Tensor[] found = _scoring.Evidence(rows, conditions).Parts;
            for (int p = 0; p < parts.Length; p++)
                HostTensors.CopyTo(found[p], parts[p].AsSpan(start, (int)rows.shape[0]));
        });
        float[] weights = [.. parts.Select(VectorCalibration.PartWeight)];
        novelty.PartWeight.copy_(HostTensors.FromRows(weights, 1, weights.Length, _device).view(-1));
    }

    /// <summary>The score that a share of training rows exceeds, to the bit as scoring has it.</summary>
    /// <param name="scorer">Of the trained networks.</param>
    /// <param name="samples">Of the modelled vector, then of each condition, all of the same rows.</param>
    /// <param name="contamination">The share.</param>
    public static float Threshold(VaeScorer scorer, IReadOnlyList<RowSample> samples, double contamination)
    {
        int count = samples[0].Count;
        var block = new RowBlock(
            [.. samples.Select((s, i) => new RowField($"{i}", FieldKind.Single, s.Width))], count);
        for (int f = 0; f < samples.Count; f++)
            samples[f].ToArray().CopyTo(block.Singles(f));
        float[] scores = new float[count];
        scorer.Compute(block, count, new() { Score = scores }, Environment.ProcessorCount);
        Array.Sort(scores);
        int anomalies = (int)Math.Round(contamination * count);
        return scores[Math.Max(0, count - 1 - anomalies)];
    }

    /// <summary>Fills the memory with rows drawn at random.</summary>
    private void Store(torch.Tensor memory)
    {
        if (_model.Shape.MemoryRows == 0)
            return;
        int[] order = [.. Enumerable.Range(0, _count)];
        new SplitMix64(SplitMix64.Derive(_model.Shape.Seed, RandomPurpose.Sample, 1)).Shuffle<int>(order);
        int width = _model.Shape.InputWidth, stored = _model.Shape.MemoryRows;
        float[] chosen = [.. order.Take(stored).SelectMany(i => _rows.AsSpan(i * width, width).ToArray())];
        memory.copy_(_model.Standardize(HostTensors.FromRows(chosen, stored, width, _device)));
    }

    private void ForEachBatch(Action<torch.Tensor, torch.Tensor?, int> action)
    {
        for (int start = 0; start < _count; start += BatchRows)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            int n = Math.Min(BatchRows, _count - start);
            torch.Tensor? conditions = _conditions is null ? null : Part(_conditions, _model.Shape.ConditionWidth);
            action(Part(_rows, _model.Shape.InputWidth), conditions, start);

            torch.Tensor Part(float[] values, int width) =>
                HostTensors.FromRows(values.AsSpan(start * width, n * width), n, width, _device);
        }
    }
}
