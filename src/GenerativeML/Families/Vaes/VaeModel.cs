using TorchSharp;

namespace GenerativeML;

/// <summary>
/// A VAE with all that belongs to its networks: the scale of the inputs, which slots are Bernoulli, and the conditions
/// of some training rows. Its densities are those of the rows in the units of the data.
/// </summary>
internal sealed class VaeModel : torch.nn.Module
{
    private static readonly double HalfLogTwoPi = 0.5 * Math.Log(2 * Math.PI);

    /// <summary>What a Bernoulli slot's value counts, in nats, for each unit by which it lies outside [0, 1].</summary>
    public const float Outside = 10;

    /// <summary>In the place of zero, whose logarithm would not be zero times zero.</summary>
    public const float Tiny = 1e-30f;

    private const double LeastProbability = 1e-3; // that an untrained decoder starts from

    private readonly VaeNetwork network;
    private readonly torch.Tensor input_mean; // (D)
    private readonly torch.Tensor input_scale; // (D), one over the deviation; zero where constant, one if Bernoulli
    private readonly torch.Tensor bernoulli; // (D), one or zero
    private readonly torch.Tensor binary; // (D), one where the training rows hold nothing but zeros and ones
    private readonly ConditionStore conditions;
    private readonly VaeNovelty? novelty; // null where the score is another: its tensors would say nothing

    public VaeModel(VaeShape shape, bool bfloat16, SeededRandom random)
        : base(nameof(VaeModel))
    {
        Shape = shape;
        network = new VaeNetwork(shape, bfloat16, random);
        input_mean = Zeros(shape.InputWidth);
        input_scale = Zeros(shape.InputWidth);
        bernoulli = Zeros(shape.InputWidth);
        binary = Zeros(shape.InputWidth);
        conditions = new ConditionStore(shape.ConditionRows, shape.ConditionWidth, random.Device);
        novelty = shape.Score == VaeScore.Novelty ? new VaeNovelty(shape, random.Device) : null;
        RegisterComponents();

        torch.Tensor Zeros(long size) => torch.zeros([size], torch.ScalarType.Float32, random.Device);
    }

    public VaeShape Shape { get; }

    public VaeNetwork Network => network;

    /// <summary>What is known of the conditions.</summary>
    public ConditionStore Conditions => conditions;

    /// <summary>What <see cref="VaeScore.Novelty"/> knows of the training rows; null where the score is another.</summary>
    public VaeNovelty? Novelty => novelty;

    /// <summary>One for each slot that is Bernoulli, (D).</summary>
    public torch.Tensor IsBernoulli => bernoulli;

    /// <summary>One over each slot's deviation; zero where it is constant, (D).</summary>
    public torch.Tensor InputScale => input_scale;

    /// <summary>Takes the scale of each slot, and which are Bernoulli.</summary>
    /// <param name="moments">Of the modelled vector.</param>
    /// <param name="isBernoulli">For each slot.</param>
    /// <param name="isBinary">For each slot, whether the training rows hold only zeros and ones.</param>
    public void SetInput(ColumnMoments moments, bool[] isBernoulli, bool[] isBinary)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        RobustScale.Set(input_mean, input_scale, moments);
        bernoulli.copy_(Marks(isBernoulli));
        binary.copy_(Marks(isBinary));
        // Shares are centred and otherwise left as they are: a rare one should not be blown up.
        input_scale.copy_(torch.where(bernoulli.gt(0), bernoulli, input_scale));
        torch.Tensor share = input_mean.clamp(LeastProbability, 1 - LeastProbability);
        network.SetOutputBias(share.log().sub((1 - share).log()).mul(bernoulli));

        torch.Tensor Marks(bool[] marks) => HostTensors.FromRows(
            [.. marks.Select(m => m ? 1f : 0f)], 1, marks.Length, bernoulli.device).view(-1);
    }

    /// <summary>Rows in the units of the data → what the encoder sees of them, (B, D) → (B, D).</summary>
    public torch.Tensor Standardize(torch.Tensor rows) => RobustScale.Apply(rows, input_mean, input_scale);

    /// <summary>What the decoder has to give for rows, (B, D), and for what the encoder sees of them, (B, D).</summary>
    public torch.Tensor Target(torch.Tensor rows, torch.Tensor standardized)
    {
        if (Shape.BernoulliSlots == 0)
            return standardized;
        torch.Tensor share = rows.clamp(0.0, 1.0);
        return Shape.BernoulliSlots == Shape.InputWidth
            ? share
            : torch.where(bernoulli.gt(0), share, standardized);
    }

    /// <summary>Codes of rows that the encoder sees: (B, D), condition (B, C) → mean and log variance, (B, Z).</summary>
    public (torch.Tensor Mean, torch.Tensor LogVariance) Encode(torch.Tensor standardized, torch.Tensor? condition) =>
        network.Encode(ConditionStore.Join(standardized, condition));

    /// <summary>
    /// The encoder's last hidden layer for rows that it sees: (B, D), condition (B, C) → (B, H).
    /// </summary>
    public torch.Tensor Hidden(torch.Tensor standardized, torch.Tensor? condition) =>
        network.Hidden(ConditionStore.Join(standardized, condition));

    /// <summary>Codes (B, Z), condition (B, C) → what the decoder gives, (B, D).</summary>
    public torch.Tensor Decode(torch.Tensor codes, torch.Tensor? condition) => network.Decode(ConditionStore.Join(codes, condition));

    /// <summary>
    /// The negative log-likelihood of each slot of a target, in nats, given what the decoder gave: (B, D), (B, D) →
    /// (B, D). For Gaussian slots it is that of the standardised value.
    /// </summary>
    public torch.Tensor SlotLoss(torch.Tensor target, torch.Tensor decoded)
    {
        if (Shape.BernoulliSlots == Shape.InputWidth)
            return CrossEntropy();
        torch.Tensor logVariance = network.OutputLogVariance;
        torch.Tensor gaussian = target.sub(decoded).square().mul(logVariance.mul(-1).exp())
            .add(logVariance).mul(0.5).add(HalfLogTwoPi).mul(input_scale.gt(0).to(torch.ScalarType.Float32));
        return Shape.BernoulliSlots == 0 ? gaussian : torch.where(bernoulli.gt(0), CrossEntropy(), gaussian);

        torch.Tensor CrossEntropy() => torch.nn.functional.softplus(decoded).sub(target.mul(decoded));
    }

    /// <summary>
    /// What has to be added to <see cref="SlotLoss"/>, slot by slot, so that it speaks of rows in the units of the data,
    /// and so that no Bernoulli slot counts for what it is rather than for how it differs: from a value between zero and
    /// one even the best decoder is as far as its entropy, which is taken off. (B, D).
    /// </summary>
    public torch.Tensor SlotCorrection(torch.Tensor rows, torch.Tensor standardized)
    {
        torch.Tensor share = rows.clamp(0.0, 1.0);
        torch.Tensor outside = rows.sub(share).abs().mul(Outside);
        torch.Tensor derivative = RobustScale.LogDerivative(standardized, input_scale);
        return torch.where(bernoulli.gt(0), outside.sub(Entropy(share)), derivative.mul(-1));
    }

    /// <summary>
    /// By how many nats each slot is less likely than if the decoder had given just the row: zero or more, whatever the
    /// units. (B, D), what the encoder sees of it (B, D), what the decoder gave (B, D) → (B, D).
    /// </summary>
    public torch.Tensor SlotExcess(torch.Tensor rows, torch.Tensor standardized, torch.Tensor decoded)
    {
        torch.Tensor target = Target(rows, standardized);
        torch.Tensor excess = SlotLoss(target, decoded);
        torch.Tensor least = SlotLoss(target, target); // of a Gaussian slot
        return torch.where(bernoulli.gt(0), excess.add(SlotCorrection(rows, standardized)), excess.sub(least))
            .clamp_min_(0); // rounding may leave a little below zero
    }

    /// <summary>The entropy of Bernoulli variables with these probabilities, in nats.</summary>
    public static torch.Tensor Entropy(torch.Tensor share)
    {
        return Part(share).add(Part(1 - share));

        static torch.Tensor Part(torch.Tensor p) => p.mul(p.clamp_min(Tiny).log()).mul(-1);
    }

    /// <summary>The KL divergence of codes from the prior, slot by slot, in nats: (B, Z), (B, Z) → (B, Z).</summary>
    public static torch.Tensor KlDivergence(torch.Tensor mean, torch.Tensor logVariance) =>
        mean.square().add(logVariance.exp()).sub(logVariance).add(-1.0).mul(0.5);

    /// <summary>What the decoder gave as expected values in the units of the data, (B, D) → (B, D).</summary>
    public torch.Tensor Expected(torch.Tensor decoded)
    {
        torch.Tensor inUnits = RobustScale.Undo(decoded, input_mean, input_scale);
        return Shape.BernoulliSlots == 0
            ? inUnits
            : torch.where(bernoulli.gt(0), torch.sigmoid(decoded), inUnits);
    }

    /// <summary>What the encoder would see of the rows that the decoder expects, (B, D) → (B, D).</summary>
    public torch.Tensor Seen(torch.Tensor decoded)
    {
        // Of a constant slot the encoder has seen nothing but zero, and the decoder has learned nothing.
        torch.Tensor gaussian = decoded.mul(input_scale.gt(0).to(torch.ScalarType.Float32));
        return Shape.BernoulliSlots == 0
            ? gaussian
            : torch.where(bernoulli.gt(0), torch.sigmoid(decoded).sub(input_mean), gaussian);
    }

    /// <summary>
    /// Rows drawn by what the decoder gave, in the units of the data, (B, D) → (B, D). A Bernoulli slot that held other
    /// values than zero and one in the training rows gets its expected value.
    /// </summary>
    public torch.Tensor Sample(torch.Tensor decoded, SeededRandom random)
    {
        torch.Tensor noise = random.Normal(decoded.shape).mul(network.OutputLogVariance.mul(0.5).exp());
        torch.Tensor inUnits = RobustScale.Undo(decoded.add(noise), input_mean, input_scale);
        if (Shape.BernoulliSlots == 0)
            return inUnits;
        torch.Tensor share = torch.sigmoid(decoded);
        torch.Tensor ones = random.Uniform(decoded.shape, 0, 1).sub_(share).lt(0).to(torch.ScalarType.Float32);
        return torch.where(bernoulli.gt(0), torch.where(binary.gt(0), ones, share), inUnits);
    }
}
