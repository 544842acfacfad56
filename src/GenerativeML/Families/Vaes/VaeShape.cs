namespace GenerativeML;

/// <summary>Everything about a trained VAE that must be known to build it again, but its weights.</summary>
internal sealed record VaeShape
{
    /// <summary>The most hidden layers that an encoder may have.</summary>
    public const int MostLayers = 64;

    /// <summary>The most slots that a hidden layer or a code may have.</summary>
    public const int MostWidth = 1 << 16;

    /// <summary>The widest input, conditions included.</summary>
    public const int MostInputs = 1 << 20;

    /// <summary>The most codes drawn for a score.</summary>
    public const int MostSamples = 10_000;

    /// <summary>Slots of the vector that is modelled, D.</summary>
    public required int InputWidth { get; init; }

    /// <summary>Slots of each condition; empty for none. Their sum is C.</summary>
    public required IReadOnlyList<int> ConditionWidths { get; init; }

    /// <summary>Training rows whose conditions are stored, to draw from; zero without conditions.</summary>
    public required int ConditionRows { get; init; }

    /// <summary>Widths of the encoder's hidden layers, from the input inwards.</summary>
    public required IReadOnlyList<int> HiddenLayers { get; init; }

    /// <summary>Slots of a code, Z.</summary>
    public required int LatentDimension { get; init; }

    /// <summary>The non-linearity after each hidden layer.</summary>
    public required Activation Activation { get; init; }

    /// <summary>Slots of the input whose likelihood is Bernoulli.</summary>
    public required int BernoulliSlots { get; init; }

    /// <summary>What the score is.</summary>
    public required VaeScore Score { get; init; }

    /// <summary>Training rows stored for comparison; zero for none, and for other scores than novelty.</summary>
    public int MemoryRows { get; init; }

    /// <summary>Codes drawn for a score.</summary>
    public required int ScoreSamples { get; init; }

    /// <summary>The seed of the random numbers by which these codes are drawn.</summary>
    public required int Seed { get; init; }

    /// <summary>Slots of all conditions together, C.</summary>
    public int ConditionWidth => ConditionWidths.Sum();

    /// <summary>Units of the encoder's last hidden layer, H; without one, of its input.</summary>
    public int HiddenWidth => HiddenLayers.Count > 0 ? HiddenLayers[^1] : InputWidth + ConditionWidth;

    /// <summary>Checks a shape that came from a file.</summary>
    /// <exception cref="FormatException">A size is out of every sensible range.</exception>
    public void Check()
    {
        bool sound = InputWidth is >= 1 and <= MostInputs
            && ConditionWidths.Count <= MostInputs
            && ConditionWidths.All(w => w is >= 1 and <= MostInputs)
            && ConditionWidths.Sum(w => (long)w) <= MostInputs
            && ConditionRows is >= 0 and <= ConditionStore.MostRows
            && ConditionWidths.Count > 0 == ConditionRows > 0
            && HiddenLayers.Count <= MostLayers
            && HiddenLayers.Append(LatentDimension).All(w => w is >= 1 and <= MostWidth)
            && Enum.IsDefined(Activation)
            && BernoulliSlots >= 0 && BernoulliSlots <= InputWidth
            && Enum.IsDefined(Score)
            && MemoryRows is >= 0 and <= VaeCalibration.MostRows
            && (MemoryRows == 0 || Score == VaeScore.Novelty && ConditionWidths.Count == 0)
            && ScoreSamples is >= 1 and <= MostSamples
            && Tensors().All(t => t.Length / sizeof(float) <= Array.MaxLength);
        if (!sound)
            throw new FormatException("The saved VAE's shape is out of range.");
    }

    /// <summary>Every tensor of a model, by its name in the state dict.</summary>
    public IEnumerable<TensorSpec> Tensors()
    {
        int condition = ConditionWidth;
        int[] inwards = [InputWidth + condition, .. HiddenLayers];
        int[] outwards = [LatentDimension + condition, .. HiddenLayers.Reverse()];
        return
        [
            .. Stack("encoder", inwards),
            .. Dense("latent_mean", inwards[^1], LatentDimension),
            .. Dense("latent_log_variance", inwards[^1], LatentDimension),
            .. Stack("decoder", outwards),
            .. Dense("output", outwards[^1], InputWidth),
            Tensor("network.output_log_variance", InputWidth),
            Tensor("input_mean", InputWidth),
            Tensor("input_scale", InputWidth),
            Tensor("bernoulli", InputWidth),
            Tensor("binary", InputWidth),
            Tensor("conditions.mean", condition),
            Tensor("conditions.scale", condition),
            Tensor("conditions.rows", ConditionRows, condition),
            .. Score != VaeScore.Novelty
                ? (TensorSpec[])[]
                :
                [
                    Tensor("novelty.unit_weight", HiddenWidth),
                    Tensor("novelty.memory", MemoryRows, InputWidth),
                    Tensor("novelty.part_weight", VaeNovelty.Parts),
                ],
        ];

        IEnumerable<TensorSpec> Stack(string name, int[] widths) => widths.Zip(widths.Skip(1)).SelectMany(
            (w, i) => Dense($"{name}.{i}", w.First, w.Second));

        TensorSpec[] Dense(string name, int inputs, int outputs) =>
            [Tensor($"network.{name}.weight", outputs, inputs), Tensor($"network.{name}.bias", outputs)];

        static TensorSpec Tensor(string name, params ReadOnlySpan<long> shape) => new(name, TensorType.F32, shape);
    }
}
