namespace GenerativeML;

/// <summary>Everything about a trained autoencoder that must be known to build it again, but its weights.</summary>
internal sealed record AutoencoderShape
{
    /// <summary>The most hidden layers that an encoder may have.</summary>
    public const int MostLayers = 64;

    /// <summary>The most slots that a hidden layer or a code may have.</summary>
    public const int MostWidth = 1 << 16;

    /// <summary>
    /// The parts of a score: the networks, the nearest few stored rows, and the nearest many of a few.
    /// </summary>
    public const int Parts = 3;

    /// <summary>The widest input.</summary>
    public const int MostInputs = 1 << 20;

    /// <summary>Slots of the input, D.</summary>
    public required int InputWidth { get; init; }

    /// <summary>Widths of the encoder's hidden layers, from the input inwards.</summary>
    public required IReadOnlyList<int> HiddenLayers { get; init; }

    /// <summary>Width of the innermost layer.</summary>
    public required int LatentDimension { get; init; }

    /// <summary>Networks of this shape, trained side by side from different initial weights.</summary>
    public required int Members { get; init; }

    /// <summary>The non-linearity after each hidden layer.</summary>
    public required Activation Activation { get; init; }

    /// <summary>The share of hidden units left out in a training step.</summary>
    public required double Dropout { get; init; }

    /// <summary>Whether hidden layers are normalised over the batch.</summary>
    public required bool BatchNormalization { get; init; }

    /// <summary>The noise that the networks learn to undo.</summary>
    public required NoiseLevels Noise { get; init; }

    /// <summary>Training rows stored for comparison; zero for none.</summary>
    public required int MemoryRows { get; init; }

    /// <summary>
    /// Slots of a network's input: where slots are hidden, a mark for each; where noise has several levels, the level.
    /// </summary>
    public int NetworkInputs => (Noise.Masked > 0 ? 2 : 1) * InputWidth + (Noise.HasLevels ? 1 : 0);

    /// <summary>Checks a shape that came from a file.</summary>
    /// <exception cref="FormatException">A size is out of every sensible range.</exception>
    public void Check()
    {
        bool sound = InputWidth is >= 1 and <= MostInputs
            && HiddenLayers.Count <= MostLayers
            && HiddenLayers.Append(LatentDimension).All(w => w is >= 1 and <= MostWidth)
            && Members is >= 1 and <= 64
            && Enum.IsDefined(Activation)
            && Dropout is >= 0 and < 1
            && Noise.Low >= 0 && Noise.High >= Noise.Low && Noise.Scoring >= 0
            && double.IsFinite(Noise.High + Noise.Scoring)
            && Noise.Masked is >= 0 and < 1
            && MemoryRows is >= 0 and <= 1 << 20
            && Tensors().All(t => t.Length / sizeof(float) <= Array.MaxLength);
        if (!sound)
            throw new FormatException("The saved autoencoder's shape is out of range.");
    }

    /// <summary>
    /// Every tensor of a model, by its name in the state dict. A dense layer's weight is (members, outputs, inputs).
    /// </summary>
    public IEnumerable<TensorSpec> Tensors()
    {
        int[] mirrored = [.. HiddenLayers.Reverse()];
        return
        [
            .. Stack("encoder", [NetworkInputs, .. HiddenLayers, LatentDimension]),
            .. Stack("decoder", [LatentDimension, .. mirrored, InputWidth]),
            .. Norms("encoder_norm", HiddenLayers),
            .. Norms("decoder_norm", mirrored),
            Tensor("input_mean", InputWidth),
            Tensor("input_scale", InputWidth),
            Tensor("memory", MemoryRows, InputWidth),
            Tensor("part_weight", Parts),
        ];

        IEnumerable<TensorSpec> Stack(string name, int[] widths) => widths.Zip(widths.Skip(1)).SelectMany(
            (w, i) => (TensorSpec[])
            [
                Tensor($"network.{name}.{i}.weight", Members, w.Second, w.First),
                Tensor($"network.{name}.{i}.bias", Members, 1, w.Second),
            ]);

        IEnumerable<TensorSpec> Norms(string name, IReadOnlyList<int> widths) => !BatchNormalization
            ? []
            : widths.SelectMany((w, i) => ((string[])["weight", "bias", "running_mean", "running_var"]).Select(
                part => Tensor($"network.{name}.{i}.{part}", Members, 1, w)));

        static TensorSpec Tensor(string name, params ReadOnlySpan<long> shape) => new(name, TensorType.F32, shape);
    }
}

/// <summary>
/// The standard deviations of the normal noise added to standardised inputs while training: drawn log-uniformly between
/// two levels, or always the same where they are equal.
/// </summary>
/// <param name="Low">The lowest level.</param>
/// <param name="High">The highest level; zero for no noise.</param>
/// <param name="Scoring">The level that the networks are told when they see a clean row.</param>
/// <param name="Masked">
/// In every other row, a random share of the slots, up to this one, is hidden and marked as hidden. Zero: in none.
/// </param>
internal sealed record NoiseLevels(double Low, double High, double Scoring, double Masked)
{
    /// <summary>Whether the networks are told the level.</summary>
    public bool HasLevels => High > Low;
}
