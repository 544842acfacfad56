using TorchSharp;

namespace GenerativeML;

/// <summary>A trained GAN: generates and scores rows. Safe to use from several threads.</summary>
internal sealed class TrainedGan : TrainedModel<GanModel>, IVectorGenerator
{
    private readonly LatentSearch _search;

    public TrainedGan(GanModel model, torch.Device device, GanReport report)
        : base(model, device)
    {
        _search = new LatentSearch(model);
        Report = report;
    }

    /// <summary>Everything needed to build the networks again.</summary>
    public GanShape Shape => Model.Shape;

    /// <summary>How the training went.</summary>
    public GanReport Report { get; }

    /// <inheritdoc/>
    public int InputWidth => Shape.InputWidth;

    /// <inheritdoc/>
    public IReadOnlyList<int> ConditionWidths => Shape.ConditionWidths;

    /// <summary>Computes what is asked for of rows in the units of the data. An empty span is not computed.</summary>
    /// <param name="block">Its fields are those of training; all values are finite.</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="score">(count): how strange.</param>
    /// <param name="reconstruction">(count × D): the nearest row that the generator makes.</param>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public void Compute(RowBlock block, int count, Span<float> score, Span<float> reconstruction)
    {
        using IDisposable computation = Enter();
        Batch batch = HostTensors.ToBatch(block, count, Device);
        torch.Tensor rows = Model.Standardize(batch[0]);
        torch.Tensor? condition = Model.Conditions.Scaled(ConditionStore.Of(batch));
        bool search = Shape.Score == GanScore.LatentSearch && !score.IsEmpty || !reconstruction.IsEmpty;
        (torch.Tensor Distance, torch.Tensor Nearest)? found = search ? _search.Run(rows, condition) : null;
        if (!score.IsEmpty)
        {
            HostTensors.CopyTo(
                Shape.Score == GanScore.LatentSearch
                    ? found!.Value.Distance
                    : Model.JudgeAlone(rows, condition).mul(-1),
                score);
        }
        if (!reconstruction.IsEmpty)
            HostTensors.CopyTo(Model.InUnits(found!.Value.Nearest), reconstruction);
    }

    /// <inheritdoc/>
    public float[] ConditionMeans()
    {
        using IDisposable computation = Enter();
        float[] means = new float[Shape.ConditionWidth];
        HostTensors.CopyTo(Model.Conditions.Mean, means);
        return means;
    }

    /// <inheritdoc/>
    public void Generate(
        Memory<float> rows, Memory<float> conditions, int count, ulong seed, ReadOnlySpan<float> where)
    {
        using IDisposable computation = Enter();
        GanSampling.Generate(Model, Device, rows.Span, conditions.Span, count, seed, where);
    }

    /// <summary>Builds a model of a shape and reads its tensors.</summary>
    /// <exception cref="FormatException">
    /// The shape is out of range, or the file does not hold exactly its tensors.
    /// </exception>
    public static TrainedGan Load(GanShape shape, GanReport report, Stream weights, torch.Device device)
    {
        shape.Check();
        GanModel model = Read(
            "GAN", shape.Elements(), weights, device, random => new GanModel(shape, bfloat16: false, random));
        return new TrainedGan(model, device, report);
    }

    protected override IReadOnlyList<(string Name, torch.Tensor Value)> Exported() =>
    [
        .. Model.Generator.NamedTensors().Select(t => ("generator." + t.Name, t.Value)),
        .. Model.Discriminator.NamedTensors().Select(t => ("discriminator." + t.Name, t.Value)),
    ];
}
