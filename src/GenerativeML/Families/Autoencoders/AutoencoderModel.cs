using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The networks of an autoencoder with all that belongs to them: the scale of the inputs, stored training rows, and the
/// size that each part of the score has on training rows.
/// </summary>
internal sealed class AutoencoderModel : torch.nn.Module
{
    private readonly AutoencoderNetwork network;
    private readonly torch.Tensor input_mean; // (D)
    private readonly torch.Tensor input_scale; // (D), one over the deviation; zero where the slot is constant
    private readonly torch.Tensor memory; // (M, D), stored training rows, standardised
    private readonly torch.Tensor part_weight; // (parts), what each part's mean square counts in the score

    public AutoencoderModel(AutoencoderShape shape, bool bfloat16, SeededRandom random)
        : base(nameof(AutoencoderModel))
    {
        Shape = shape;
        network = new AutoencoderNetwork(shape, bfloat16, random);
        input_mean = torch.zeros((long)shape.InputWidth, torch.ScalarType.Float32, random.Device);
        input_scale = torch.zeros((long)shape.InputWidth, torch.ScalarType.Float32, random.Device);
        memory = torch.zeros(shape.MemoryRows, shape.InputWidth, torch.ScalarType.Float32, random.Device);
        part_weight = torch.zeros((long)AutoencoderShape.Parts, torch.ScalarType.Float32, random.Device);
        RegisterComponents();
    }

    public AutoencoderShape Shape { get; }

    public AutoencoderNetwork Network => network;

    /// <summary>Takes the mean and deviation of each slot; a slot without deviation contributes nothing.</summary>
    public void SetScale(ColumnMoments moments) => RobustScale.Set(input_mean, input_scale, moments);

    /// <summary>Rows in the units of the data → standardised rows, (B, D) → (B, D).</summary>
    public torch.Tensor Standardize(torch.Tensor rows) => RobustScale.Apply(rows, input_mean, input_scale);

    /// <summary>What the networks are given for clean standardised rows: (B, D) → (Members, B, inputs).</summary>
    public torch.Tensor CleanInput(torch.Tensor standardized)
    {
        var inputs = new List<torch.Tensor> { standardized };
        if (Shape.Noise.Masked > 0)
            inputs.Add(torch.zeros_like(standardized));
        if (Shape.Noise.HasLevels)
        {
            double level = Math.Log(Shape.Noise.Scoring);
            inputs.Add(
                torch.full([standardized.shape[0], 1], level, torch.ScalarType.Float32, standardized.device));
        }
        torch.Tensor all = inputs.Count == 1 ? standardized : torch.cat(inputs, 1);
        return all.unsqueeze(0).expand(Shape.Members, -1, -1);
    }

    /// <summary>
    /// The networks' mean reconstruction of standardised rows, in the units of the data, (B, D) → (B, D).
    /// </summary>
    public torch.Tensor Reconstruct(torch.Tensor standardized)
    {
        torch.Tensor mean = network.call(CleanInput(standardized)).mean([0L]);
        return RobustScale.Undo(mean, input_mean, input_scale);
    }

    /// <summary>The first network's code of standardised rows, (B, D) → (B, latent).</summary>
    public torch.Tensor Encode(torch.Tensor standardized) =>
        network.Encode(CleanInput(standardized)).select(0, 0);

    /// <summary>
    /// The parts of the score before they are weighted, slot by slot, each summing to a mean square over the slots that
    /// count: (B, D) → one (B, D) for each part.
    /// </summary>
    public torch.Tensor[] Residuals(torch.Tensor standardized)
    {
        // A constant slot is zero in every row, and whatever the network makes of it is no evidence.
        torch.Tensor counts = input_scale.gt(0).to(torch.ScalarType.Float32);
        torch.Tensor share = counts.div(counts.sum().clamp_min(1));
        torch.Tensor error = network.call(CleanInput(standardized)).sub_(standardized).square().mean([0L]);
        int near = StoredRows.Near(Shape.MemoryRows), far = StoredRows.Far(Shape.MemoryRows);
        torch.Tensor few = memory.narrow(0, 0, StoredRows.Few(Shape.MemoryRows));
        torch.Tensor distances = RowMemory.Distances(standardized, memory);
        torch.Tensor fewDistances = distances.narrow(1, 0, few.shape[0]);
        return
        [
            error.mul_(share),
            near < 1
                ? torch.zeros_like(error)
                : RowMemory.Residuals(standardized, memory, distances, near).mul_(share),
            far < 1
                ? torch.zeros_like(error)
                : RowMemory.MeanResiduals(standardized, few, fewDistances, far).mul_(share),
        ];
    }

    /// <summary>Each slot's contribution to the score; their sum is the score. (B, D) → (B, D).</summary>
    public torch.Tensor Contributions(torch.Tensor standardized)
    {
        torch.Tensor[] parts = Residuals(standardized);
        torch.Tensor sum = parts[0].mul_(part_weight.narrow(0, 0, 1));
        for (int p = 1; p < AutoencoderShape.Parts; p++)
            sum.add_(parts[p].mul_(part_weight.narrow(0, p, 1)));
        return sum;
    }
}
