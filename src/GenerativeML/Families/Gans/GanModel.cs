using TorchSharp;

namespace GenerativeML;

/// <summary>The two networks of a GAN with all that belongs to them: the scale of rows and conditions.</summary>
internal sealed class GanModel : torch.nn.Module
{
    private readonly GanGenerator generator;
    private readonly GanDiscriminator discriminator;
    private readonly torch.Tensor input_mean; // (D)
    private readonly torch.Tensor input_scale; // (D), one over the deviation; zero where the slot is constant
    private readonly ConditionStore conditions;

    public GanModel(GanShape shape, bool bfloat16, SeededRandom random)
        : base(nameof(GanModel))
    {
        Shape = shape;
        generator = new GanGenerator(shape, bfloat16, random);
        discriminator = new GanDiscriminator(shape, bfloat16, random);
        input_mean = torch.zeros([shape.InputWidth], torch.ScalarType.Float32, random.Device);
        input_scale = torch.zeros([shape.InputWidth], torch.ScalarType.Float32, random.Device);
        conditions = new ConditionStore(shape.ConditionRows, shape.ConditionWidth, random.Device);
        RegisterComponents();
    }

    public GanShape Shape { get; }

    public GanGenerator Generator => generator;

    public GanDiscriminator Discriminator => discriminator;

    /// <summary>What is known of the conditions.</summary>
    public ConditionStore Conditions => conditions;

    /// <summary>Takes the mean and deviation of each slot; a constant slot is generated as it is.</summary>
    public void SetScale(ColumnMoments moments) => RobustScale.Set(input_mean, input_scale, moments);

    /// <summary>Rows in the units of the data → standardised rows, (B, D) → (B, D).</summary>
    public torch.Tensor Standardize(torch.Tensor rows) => RobustScale.Apply(rows, input_mean, input_scale);

    /// <summary>Standardised rows → rows in the units of the data, (B, D) → (B, D).</summary>
    public torch.Tensor InUnits(torch.Tensor standardized) => RobustScale.Undo(standardized, input_mean, input_scale);

    /// <summary>Noise (B, Z) and condition (B, C) → standardised rows, (B, D).</summary>
    public torch.Tensor Generate(torch.Tensor noise, torch.Tensor? condition) =>
        generator.call(ConditionStore.Join(noise, condition));

    /// <summary>
    /// What the discriminator says of standardised rows, pack by pack: (B, D), condition (B, C) → (B / p, 1).
    /// </summary>
    public torch.Tensor Judge(torch.Tensor standardized, torch.Tensor? condition) =>
        discriminator.call(Packed(standardized, condition, Shape.PackSize));

    /// <summary>The last hidden layer of the discriminator for packs of one row's copies, (B, D) → (B, width).</summary>
    public torch.Tensor Features(torch.Tensor standardized, torch.Tensor? condition) =>
        discriminator.Features(Copies(standardized, condition));

    /// <summary>What the discriminator says of packs of one row's copies, (B, D) → (B).</summary>
    public torch.Tensor JudgeAlone(torch.Tensor standardized, torch.Tensor? condition) =>
        discriminator.call(Copies(standardized, condition)).squeeze(1);

    /// <summary>Rows with their conditions, so many side by side: (B, D), (B, C) → (B / p, p·(D + C)).</summary>
    public static torch.Tensor Packed(torch.Tensor rows, torch.Tensor? condition, int pack)
    {
        torch.Tensor joined = ConditionStore.Join(rows, condition);
        return pack == 1 ? joined : joined.reshape(joined.shape[0] / pack, pack * joined.shape[1]);
    }

    private torch.Tensor Copies(torch.Tensor rows, torch.Tensor? condition)
    {
        torch.Tensor joined = ConditionStore.Join(rows, condition);
        return Shape.PackSize == 1
            ? joined
            : torch.cat([.. Enumerable.Repeat(joined, Shape.PackSize)], 1);
    }
}
