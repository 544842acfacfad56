using TorchSharp;

namespace GenerativeML;

/// <summary>
/// What the training loop does with a batch of tokens: the discriminator's update, and at every so-many-th step the
/// generator's. Both are about rows that were drawn again from the batch: a column at random, and rows by the
/// log-frequency of their token in it, so that rare ones are seen (Xu 2019, training by sampling).
/// </summary>
internal sealed class TabularGanTraining : ITrainable, IDisposable
{
    private const GanObjective Objective = GanObjective.WassersteinGradientPenalty;
    private static readonly AdamSettings Adam = new(0.5, 0.9);

    private readonly TabularGanShape _shape;
    private readonly TabularGanOptions _options;
    private readonly TabularGanRows _rows;
    private readonly Networks _networks;
    private readonly torch.Tensor _drawWeights; // (T, 1)

    /// <param name="shape">Widths and tokens.</param>
    /// <param name="options">The terms' weights.</param>
    /// <param name="counts">How often tokens occur.</param>
    /// <param name="random">Draws the weights.</param>
    public TabularGanTraining(TabularGanShape shape, TabularGanOptions options, TokenCounts counts, SeededRandom random)
    {
        _shape = shape;
        _options = options;
        _rows = new TabularGanRows(shape);
        _networks = new Networks(
            new TabularGanGenerator(shape, random),
            new TabularGanDiscriminator(shape, options.PackSize, random),
            new TabularGanGenerator(shape, random));
        WeightAverage.Copy(_networks.Average, _networks.Generator);
        float[] weights = [.. Enumerable.Range(0, shape.Tokens.Count).SelectMany(
            p => counts.Of(p).Select(n => n > 0 ? (float)(Math.Log(1.0 + n) / n) : 0))];
        _drawWeights = HostTensors.FromRows(weights, weights.Length, 1, random.Device);
        Updates =
        [
            new UpdateRule("discriminator", _networks.Discriminator.TrainedTensors(), Adam: Adam),
            new UpdateRule(
                "generator", _networks.Generator.TrainedTensors(), options.DiscriminatorStepsPerGeneratorStep,
                Adam: Adam),
        ];
    }

    /// <inheritdoc/>
    public torch.nn.Module Network => _networks;

    /// <inheritdoc/>
    public IReadOnlyList<UpdateRule> Updates { get; }

    /// <inheritdoc/>
    public bool WatchesValidation => false; // no loss of a GAN says which weights are better

    /// <summary>The mean weights so far.</summary>
    public TabularGanGenerator Average => _networks.Average;

    /// <inheritdoc/>
    public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step)
    {
        (torch.Tensor real, torch.Tensor condition) = Draw(batch, step.Random);
        torch.Tensor noise = step.Random.Normal([real.shape[0], _shape.NoiseDimension]);
        torch.Tensor given = _networks.Generator.call(torch.cat([noise, condition], 1));
        torch.Tensor made = torch.cat([_rows.Soft(given, _options.Temperature, step.Random), condition], 1);
        if (update > 0)
        {
            return
            [
                new LossTerm("generator", GanLoss.Generator(Objective, Judge(made))),
                new LossTerm("condition", _rows.ConditionLoss(given, condition)),
            ];
        }
        made = made.detach();
        real = torch.cat([real, condition], 1);
        torch.Tensor penalty = GanLoss.GradientPenalty(Judge, real, made, _options.PackSize, step.Random);
        return
        [
            new LossTerm("discriminator", GanLoss.Discriminator(Objective, Judge(real), Judge(made), 0)),
            new LossTerm("gradient penalty", penalty.mul(_options.GradientPenaltyWeight)),
        ];

        torch.Tensor Judge(torch.Tensor rows) => _networks.Discriminator.Judge(
            rows.reshape(rows.shape[0] / _options.PackSize, -1), _options.Dropout, step.Random);
    }

    /// <inheritdoc/>
    public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step) => [];

    /// <inheritdoc/>
    public void AfterUpdate(int update, StepContext step)
    {
        if (update > 0)
        {
            WeightAverage.Update(
                _networks.Average, _networks.Generator, _options.WeightAverageDecay, step.Step / Updates[1].Every);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _networks.Dispose();
        _drawWeights.Dispose();
    }

    /// <summary>
    /// Rows drawn again from a batch, in whole packs, (B, row), and the token by which each was drawn, (B, T).
    /// </summary>
    private (torch.Tensor Rows, torch.Tensor Condition) Draw(Batch batch, SeededRandom random)
    {
        int packs = Math.Max(1, batch.Rows / _options.PackSize);
        long rows = (long)packs * _options.PackSize;
        torch.Tensor tokens = batch[0].add(_rows.Starts(batch[0].device)); // (batch, positions), counted over all
        long positions = tokens.shape[1];
        torch.Tensor upTo = _drawWeights.index_select(0, tokens.view(-1)).view(-1, positions).t().cumsum(1);
        torch.Tensor position = random.Uniform([rows], 0, positions).to(torch.ScalarType.Int64).clamp(0, positions - 1);
        torch.Tensor sums = upTo.index_select(0, position); // (B, batch)
        torch.Tensor point = random.Uniform([rows, 1], 0, 1).mul(sums.narrow(1, sums.shape[1] - 1, 1));
        torch.Tensor row = sums.sub(point).lt(0).to(torch.ScalarType.Int64).sum(1L).clamp(0, batch.Rows - 1);
        torch.Tensor drawn = tokens.index_select(0, row);
        torch.Tensor slots = _rows.Slots(drawn);
        torch.Tensor real = batch.Fields.Count > 1
            ? torch.cat([slots, batch[1].index_select(0, row)], 1)
            : slots;
        return (real, _rows.Slots(drawn.gather(1, position.unsqueeze(1))));
    }

    /// <summary>All that training changes: the networks, and the mean generator.</summary>
    private sealed class Networks : torch.nn.Module
    {
        private readonly TabularGanGenerator generator, average;
        private readonly TabularGanDiscriminator discriminator;

        public Networks(
            TabularGanGenerator generator, TabularGanDiscriminator discriminator, TabularGanGenerator average)
            : base(nameof(Networks))
        {
            this.generator = generator;
            this.discriminator = discriminator;
            this.average = average;
            RegisterComponents();
        }

        public TabularGanGenerator Generator => generator;

        public TabularGanDiscriminator Discriminator => discriminator;

        public TabularGanGenerator Average => average;
    }
}
