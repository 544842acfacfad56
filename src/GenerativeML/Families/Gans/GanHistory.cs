using System.Text.Json;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Follows a GAN's training: sums up losses and gradient norms, and at the end of each stage compares what the
/// generator makes with held-back rows.
/// </summary>
internal sealed class GanHistory : VectorFollower
{
    private const int Figures = 12;
    private const int NormEvery = 8; // steps between two looks at the gradients, which cost a call for each tensor

    // Rows that are compared at the end of a stage: their distances are a square table.
    private const int MinCompared = 100, MaxCompared = 1000;
    private const int MaxComparedValues = 1 << 17;

    // What is summed up over a stage, of each of the two networks.
    private const int Loss = 0, LossCount = 1, Norm = 2, NormCount = 3;

    private readonly GanNetwork _network;
    private readonly GanOptions _options;
    private readonly VectorRun _run;
    private readonly float[] _heldBack, _training;
    private readonly torch.Tensor _figures; // (stages, figures): the last step, sums, comparisons
    private readonly torch.Tensor _sums; // (sums, networks)

    public GanHistory(GanNetwork network, GanOptions options, VectorRun run)
    {
        (_network, _options, _run) = (network, options, run);
        int width = network.Input.Width;
        int compared = Math.Min(
            Math.Clamp(MaxComparedValues / width, MinCompared, MaxCompared), run.Statistics.Samples[0].Count);
        _heldBack = run.HeldBack(compared);
        _training = run.Training(_heldBack.Length / width);
        _figures = Zeros("figures", options.Stages, Figures);
        _sums = Zeros("sums", 4, 2);
    }

    private int Width => _network.Input.Width;

    /// <inheritdoc />
    public override void AfterLoss(int update, IReadOnlyList<LossTerm> terms)
    {
        using IDisposable noGradient = torch.no_grad();
        foreach (LossTerm term in terms)
            Sum(Loss, update).Add(term.Value.detach());
        Sum(LossCount, update).Add(1.0);
    }

    /// <inheritdoc />
    public override void AfterUpdate(int update, UpdateRule rule, StepContext step)
    {
        int generatorEvery = _options.DiscriminatorStepsPerGeneratorStep!.Value;
        if (step.Step / generatorEvery % NormEvery == 0)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor squares = torch.stack([.. rule.Parameters.Select(p => p.grad!.Squared().sum())]);
            Sum(Norm, update).Add(squares.sum().sqrt());
            Sum(NormCount, update).Add(1.0);
        }
        bool lastOfStep = update != GanNetwork.DiscriminatorUpdate || (step.Step + 1) % generatorEvery != 0;
        if (lastOfStep && StageAt(step) is int stage)
            EndStage(stage, step);
    }

    /// <inheritdoc />
    public override JsonElement Finish()
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
        }.Write();
    }

    /// <summary>The stage that ends with a step, counted from zero; null for none.</summary>
    private int? StageAt(StepContext step)
    {
        long before = step.Step * _options.Stages / step.Steps, after = (step.Step + 1) * _options.Stages / step.Steps;
        return after > before ? (int)after - 1 : null;
    }

    private void EndStage(int stage, StepContext step)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using TrainedVector model = _run.Snapshot();
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
        _figures.narrow(0, stage, 1).copy_(HostTensors.FromRows(row, 1, Figures, _run.Device));
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

    private torch.Tensor Zeros(string name, params long[] shape)
    {
        torch.Tensor zeros = torch.zeros(shape, torch.ScalarType.Float32, _run.Device).DetachFromDisposeScope();
        register_buffer(name, zeros);
        return zeros;
    }

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
