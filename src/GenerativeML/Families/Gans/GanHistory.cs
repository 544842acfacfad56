using System.Text.Json;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Follows a GAN's training: sums up losses and gradient norms, and at the end of each stage compares what the
/// generator makes with held-back rows.
/// </summary>
internal sealed class GanHistory : TrainingCallback
{
    private const int Figures = 12;
    private const int NormEvery = 8; // steps between two looks at the gradients, which cost a call for each tensor

    // Rows that are compared at the end of a stage: their distances are a square table.
    private const int MinCompared = 100, MaxCompared = 1000;
    private const int MaxComparedValues = 1 << 17;
    private const int MaxBlockRows = 4096, MaxBlockValues = 1 << 20; // read at once

    // What is summed up over a stage, of each of the two networks.
    private const int Loss = 0, LossCount = 1, Norm = 2, NormCount = 3;

    private readonly AdversarialNetwork _network;
    private readonly AdversarialOptions _options;
    private readonly Func<TrainedVector> _snapshot;
    private readonly float[] _heldBack, _training; // standardised, evenly spread over all such rows
    private readonly bool _isConstant; // whether all training rows are equal
    private readonly torch.Tensor _figures; // (stages, figures): the last step, sums, comparisons
    private readonly torch.Tensor _sums; // (sums, networks)

    public GanHistory(
        AdversarialNetwork network, AdversarialOptions options, RowStatistics rows, TrainingData data, torch.Device device,
        Func<TrainedVector> snapshot)
    {
        (_network, _options, _snapshot) = (network, options, snapshot);
        RowSample sample = rows.Samples[0];
        _isConstant = rows.Moments[0].Minimum.AsSpan().SequenceEqual(rows.Moments[0].Maximum);
        _heldBack = HeldBack(
            data, Math.Min(Math.Clamp(MaxComparedValues / Width, MinCompared, MaxCompared), sample.Count));
        int count = Math.Min(_heldBack.Length / Width, sample.Count);
        float[] all = sample.ToArray();
        _training = new float[count * Width];
        for (int row = 0; row < count; row++)
            all.AsSpan((int)Spread(row, count, sample.Count) * Width, Width).CopyTo(_training.AsSpan(row * Width));
        network.Scalers(rows)[0].Apply(_training, _training);
        _figures = torch.zeros(options.Stages, Figures, torch.ScalarType.Float32, device);
        _sums = torch.zeros(4, 2, torch.ScalarType.Float32, device);
    }

    public override IReadOnlyList<(string Name, torch.Tensor Value)> State =>
        [("follower.figures", _figures), ("follower.sums", _sums)];

    private int Width => _network.Input.Width;

    public override void AfterLoss(int update, IReadOnlyList<LossTerm> terms)
    {
        using IDisposable noGradient = torch.no_grad();
        foreach (LossTerm term in terms)
            Sum(Loss, update).Add(term.Value.detach());
        Sum(LossCount, update).Add(1.0);
    }

    public override void AfterUpdate(int update, UpdateRule rule, StepContext step)
    {
        int generatorEvery = _options.DiscriminatorStepsPerGeneratorStep!.Value;
        if (step.Step / generatorEvery % NormEvery == 0)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            if (step.GradientNorm is double known)
                Sum(Norm, update).Add(known);
            else
                Sum(Norm, update).Add(torch.stack([.. rule.Parameters.Select(p => p.grad!.Squared().sum())]).sum().sqrt());
            Sum(NormCount, update).Add(1.0);
        }
        bool lastOfStep = update != AdversarialNetwork.DiscriminatorUpdate || (step.Step + 1) % generatorEvery != 0;
        long before = step.Step * _options.Stages / step.Steps, after = (step.Step + 1) * _options.Stages / step.Steps;
        if (lastOfStep && after > before)
            EndStage((int)after - 1, step);
    }

    public override JsonElement? Finish()
    {
        float[] all = new float[_options.Stages * Figures];
        HostTensors.CopyTo(_figures, all);
        (double distance, double discrepancy, double coverage) = Compare(_training);
        return new GanReport
        {
            Stages = [.. all.Chunk(Figures).Where(row => row[0] > 0).Select(Of)],
            ComparedRows = _heldBack.Length / Width,
            ReferenceSlicedWasserstein = distance,
            ReferenceMeanDiscrepancy = discrepancy,
            ReferenceCoverage = coverage,
            RowsAreAlike = _isConstant && distance == 0,
        }.Write();
    }

    private void EndStage(int stage, StepContext step)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using TrainedVector model = _snapshot();
        float[] made = new float[_heldBack.Length];
        int count = made.Length / Width;
        if (count > 0)
        {
            ulong seed = SplitMix64.Derive(_network.Input.Seed, RandomPurpose.Generation);
            model.Generate(made, new float[count * _network.Input.ConditionWidth], count, seed, []);
            model.Features.Apply(made, made);
        }
        // Tensors of a run have to be finite: what was not measured becomes NaN only when it is read.
        (double distance, double discrepancy, double coverage) = count > 0 ? Compare(made) : default;
        float[] sums = new float[8];
        HostTensors.CopyTo(_sums, sums);
        float[] row = [step.Step + 1, .. sums, (float)distance, (float)discrepancy, (float)coverage];
        _figures.narrow(0, stage, 1).copy_(HostTensors.FromRows(row, 1, Figures, _figures.device));
        _sums.Fill(0);
        _options.StageEnded?.Invoke(new GanStage(step.Steps, Of(row), model));
    }

    // The distance and discrepancy of standardised rows from the held-back ones, and how many of these they cover.
    private (double Distance, double Discrepancy, double Coverage) Compare(float[] rows) => _heldBack.Length == 0
        ? (double.NaN, double.NaN, double.NaN)
        : (DistributionMetrics.SlicedWasserstein(rows, _heldBack, Width, _network.Input.Seed),
            DistributionMetrics.MeanDiscrepancy(rows, _heldBack, Width),
            DistributionMetrics.Coverage(rows, _heldBack, Width));

    private torch.Tensor Sum(int sum, int update) => _sums.narrow(0, sum, 1).narrow(1, update, 1);

    private float[] HeldBack(TrainingData data, int most)
    {
        long rows = data.ValidationRows, first = 0;
        int count = (int)Math.Min(most, rows), next = 0;
        float[] kept = new float[count * Width];
        foreach (Batch batch in data.Validation(Math.Clamp(MaxBlockValues / Width, 1, MaxBlockRows)))
        {
            using DisposeScope scope = torch.NewDisposeScope();
            float[] block = new float[batch.Rows * Width];
            HostTensors.CopyTo(batch[0], block);
            foreach (torch.Tensor field in batch.Fields)
                field.Dispose();
            for (; next < count && Spread(next, count, rows) < first + batch.Rows; next++)
            {
                block.AsSpan((int)(Spread(next, count, rows) - first) * Width, Width)
                    .CopyTo(kept.AsSpan(next * Width));
            }
            first += batch.Rows;
        }
        return kept;
    }

    // The places of a few among many.
    private static long Spread(int number, int few, long many) => number * many / few;

    private GanFigures Of(float[] row) => new()
    {
        Step = (long)row[0],
        DiscriminatorLoss = row[1] / row[3],
        GeneratorLoss = row[2] / row[4],
        DiscriminatorGradientNorm = row[5] / row[7],
        GeneratorGradientNorm = row[6] / row[8],
        SlicedWasserstein = _heldBack.Length > 0 ? row[9] : double.NaN,
        MeanDiscrepancy = _heldBack.Length > 0 ? row[10] : double.NaN,
        Coverage = _heldBack.Length > 0 ? row[11] : double.NaN,
    };
}

/// <summary>
/// A GAN at the end of a stage of its training: what a person wants to look at. It may be used until the call that it
/// was given to returns.
/// </summary>
public sealed class GanStage
{
    private readonly TrainedVector _model;

    internal GanStage(long steps, GanFigures figures, TrainedVector model) =>
        (Steps, Figures, _model) = (steps, figures, model);

    /// <summary>Optimizer steps of the whole run.</summary>
    public long Steps { get; }

    /// <summary>The figures of the stage; those against held-back rows are NaN where none are held back.</summary>
    public GanFigures Figures { get; }

    /// <summary>
    /// So many generated rows, row-major, in the units of the data, with conditions as in training rows; the same for
    /// the same seed and generator.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is negative.</exception>
    public float[] Generate(int rows, int seed = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        VectorInput input = _model.Network.Input;
        float[] made = new float[rows * input.Width];
        if (rows > 0)
        {
            ulong derived = SplitMix64.Derive(seed, RandomPurpose.Generation);
            _model.Generate(made, new float[rows * input.ConditionWidth], rows, derived, []);
        }
        return made;
    }

    /// <summary>
    /// What the discriminator says of rows, row-major, in the units of the data: the higher, the more real. A GAN with
    /// conditions judges them by conditions drawn as in training rows.
    /// </summary>
    /// <exception cref="ArgumentException">The values are no whole rows.</exception>
    public float[] Discriminate(float[] rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        VectorInput input = _model.Network.Input;
        (int count, int rest) = Math.DivRem(rows.Length, input.Width);
        if (rest > 0)
            throw new ArgumentException($"{rows.Length} values are no whole rows of {input.Width}.", nameof(rows));
        if (count == 0)
            return [];
        float[] standardized = new float[rows.Length];
        _model.Features.Apply(rows, standardized);
        float[] conditions = _model.DrawConditions(
            new float[count * input.ConditionWidth], count, SplitMix64.Derive(input.Seed, RandomPurpose.Scoring), []);
        return _model.Run(new Judgement((AdversarialNetwork)_model.Network), standardized, conditions, count, [1])[0];
    }

    private sealed class Judgement(AdversarialNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> =>
            [network.JudgeAlone(w, new VectorRows<T>(inputs[0], inputs.Length > 1 ? inputs[1] : null))];
    }
}
