using TorchSharp;

namespace GenerativeML;

/// <summary>
/// What the training loop does with a batch: the discriminator's update, and at every so-many-th step the generator's.
/// </summary>
internal sealed class GanTraining : ITrainable, IDisposable
{
    /// <summary>The number of the discriminator's update; the generator's is the next.</summary>
    public const int Discriminator = 0;

    private const int NormEvery = 8; // steps between two looks at the gradients, which cost a call for each tensor

    private readonly GanModel _model;
    private readonly GanOptions _options;
    private readonly GanGenerator? _average;
    private readonly Trained _trained;
    private readonly int _generatorEvery;
    private readonly double _instanceNoise;

    /// <param name="model">The model to train.</param>
    /// <param name="options">Objective and weights.</param>
    /// <param name="average">A generator of the same shape for the mean weights; null: none are kept.</param>
    /// <param name="device">Where it is trained.</param>
    public GanTraining(
        GanModel model, GanOptions options, GanGenerator? average, torch.Device device)
    {
        _model = model;
        _options = options;
        _average = average;
        _trained = new Trained(model, average, options.Stages, device);
        if (average is not null)
            WeightAverage.Copy(average, model.Generator);
        _instanceNoise = GanDefaults.InstanceNoise(options);
        _generatorEvery = GanDefaults.DiscriminatorSteps(options);
        AdamSettings adam = GanDefaults.Adam(options.Objective);
        Updates =
        [
            new UpdateRule("discriminator", model.Discriminator.TrainedTensors(), Adam: adam),
            new UpdateRule(
                "generator", model.Generator.TrainedTensors(), _generatorEvery, options.GeneratorRateScale, adam),
        ];
    }

    public torch.nn.Module Network => _trained;

    public IReadOnlyList<UpdateRule> Updates { get; }

    public bool WatchesValidation => false; // no loss of a GAN says which weights are better

    /// <summary>The losses, gradients and comparisons so far; part of what checkpoints hold.</summary>
    public GanHistory History => _trained.History;

    /// <summary>Called at the end of each stage, with the generator as it would be if training ended there.</summary>
    public Action<int, long>? StageEnded { get; init; }

    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step)
    {
        if (!_model.training)
            _model.train();
        IReadOnlyList<LossTerm> terms = Terms(batch, update, step);
        History.CountLoss(update, terms);
        return terms;
    }

    private IReadOnlyList<LossTerm> Terms(Batch batch, int update, StepContext step)
    {
        (torch.Tensor real, torch.Tensor? condition) = Packs(batch);
        torch.Tensor noise = step.Random.Normal([real.shape[0], _model.Shape.NoiseDimension]);
        double instance = _instanceNoise * (1 - step.Step / (double)step.Steps);
        if (update != Discriminator)
        {
            torch.Tensor made = Disturbed(_model.Generate(noise, condition), instance, step.Random);
            return [new LossTerm("generator", GanLoss.Generator(_options.Objective, _model.Judge(made, condition)))];
        }
        torch.Tensor generated;
        using (torch.no_grad())
            generated = Disturbed(_model.Generate(noise, condition), instance, step.Random);
        real = Disturbed(real, instance, step.Random);
        var game = new LossTerm("discriminator", GanLoss.Discriminator(
            _options.Objective, _model.Judge(real, condition), _model.Judge(generated, condition),
            _options.LabelSmoothing));
        if (_options.Objective != GanObjective.WassersteinGradientPenalty || _options.GradientPenaltyWeight == 0)
            return [game];
        torch.Tensor penalty = GanLoss.GradientPenalty(
            rows => _model.Judge(rows, condition), real, generated, _model.Shape.PackSize, step.Random);
        return [game, new LossTerm("gradient penalty", penalty.mul(_options.GradientPenaltyWeight))];
    }

    public void Backward(IReadOnlyList<LossTerm> terms, StepContext step)
    {
        torch.Tensor sum = terms[0].Value;
        foreach (LossTerm term in terms.Skip(1))
            sum = sum.add(term.Value);
        sum.mul(step.Share).backward();
    }

    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step) => [];

    public void AfterUpdate(int update, StepContext step)
    {
        if (step.Step / _generatorEvery % NormEvery == 0)
            History.CountGradient(update, Updates[update].Parameters);
        if (update == Discriminator)
        {
            if (_options.Objective == GanObjective.Wasserstein)
            {
                foreach (torch.Tensor weight in Updates[Discriminator].Parameters)
                    weight.clamp_(-_options.WeightClip, _options.WeightClip);
            }
            _model.Discriminator.FollowWeights();
        }
        else if (_average is not null)
        {
            WeightAverage.Update(_average, _model.Generator, _options.WeightAverageDecay, step.Step / _generatorEvery);
        }
        if (update == Updates.Count - 1 || (step.Step + 1) % _generatorEvery != 0)
            EndStage(step);
    }

    /// <summary>Gives the model the generator to keep.</summary>
    public void Finish()
    {
        if (_average is not null)
            WeightAverage.Copy(_model.Generator, _average);
    }

    public void Dispose()
    {
        _average?.Dispose();
        _trained.History.Dispose();
    }

    private void EndStage(StepContext step)
    {
        int stage = History.StageAt(step.Step, step.Steps);
        if (stage < 0 || StageEnded is null)
            return;
        _model.eval();
        if (_average is not null)
            WeightAverage.Exchange(_average, _model.Generator);
        StageEnded(stage, step.Step + 1);
        if (_average is not null)
            WeightAverage.Exchange(_average, _model.Generator);
    }

    /// <summary>Whole packs of standardised rows: what is left over goes, and too few rows are repeated.</summary>
    private (torch.Tensor Rows, torch.Tensor? Condition) Packs(Batch batch)
    {
        torch.Tensor rows = _model.Standardize(batch[0]);
        torch.Tensor? condition = _model.Conditions.Scaled(ConditionStore.Of(batch));
        int pack = _model.Shape.PackSize;
        return (Whole(rows), condition is null ? null : Whole(condition));

        torch.Tensor Whole(torch.Tensor t)
        {
            if (t.shape[0] < pack)
                t = torch.cat([.. Enumerable.Repeat(t, (int)((pack + t.shape[0] - 1) / t.shape[0]))], 0);
            return t.narrow(0, 0, t.shape[0] / pack * pack);
        }
    }

    private static torch.Tensor Disturbed(torch.Tensor rows, double deviation, SeededRandom random) =>
        deviation > 0 ? rows.add(random.Normal(rows.shape, deviation)) : rows;

    /// <summary>All that training changes: the networks, the mean generator, and the history.</summary>
    private sealed class Trained : torch.nn.Module
    {
        private readonly GanGenerator generator;
        private readonly GanDiscriminator discriminator;
        private readonly GanGenerator? average;
        private readonly GanHistory history;

        public Trained(GanModel model, GanGenerator? average, int stages, torch.Device device)
            : base(nameof(Trained))
        {
            generator = model.Generator;
            discriminator = model.Discriminator;
            this.average = average;
            history = new GanHistory(stages, device).OutliveScope();
            RegisterComponents();
        }

        public GanHistory History => history;
    }
}
