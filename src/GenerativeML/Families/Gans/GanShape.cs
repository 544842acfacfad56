namespace GenerativeML;

/// <summary>Everything about a trained GAN that must be known to build it again, but its weights.</summary>
internal sealed record GanShape
{
    /// <summary>The most hidden layers that a network may have.</summary>
    public const int MostLayers = 64;

    /// <summary>The most slots that a hidden layer or the noise may have.</summary>
    public const int MostWidth = 1 << 16;

    /// <summary>The widest input, conditions included.</summary>
    public const int MostInputs = 1 << 20;

    /// <summary>The most rows that are judged together.</summary>
    public const int MostPack = 64;

    /// <summary>The most steps of a latent search.</summary>
    public const int MostSearchSteps = 10_000;

    /// <summary>Slots of a row, D.</summary>
    public required int InputWidth { get; init; }

    /// <summary>Slots of each condition; empty for none. Their sum is C.</summary>
    public required IReadOnlyList<int> ConditionWidths { get; init; }

    /// <summary>Training rows whose conditions are stored, to draw from; zero without conditions.</summary>
    public required int ConditionRows { get; init; }

    /// <summary>Slots of the noise, Z.</summary>
    public required int NoiseDimension { get; init; }

    /// <summary>Widths of the generator's hidden layers, from the noise outwards.</summary>
    public required IReadOnlyList<int> GeneratorLayers { get; init; }

    /// <summary>Widths of the discriminator's hidden layers, from the row inwards.</summary>
    public required IReadOnlyList<int> DiscriminatorLayers { get; init; }

    /// <summary>The non-linearity after each hidden layer.</summary>
    public required Activation Activation { get; init; }

    /// <summary>Whether the discriminator's weights are spectrally normalised.</summary>
    public required bool SpectralNormalization { get; init; }

    /// <summary>Rows that the discriminator judges together, p.</summary>
    public required int PackSize { get; init; }

    /// <summary>What the score is.</summary>
    public required GanScore Score { get; init; }

    /// <summary>Steps of a latent search.</summary>
    public required int SearchSteps { get; init; }

    /// <summary>The seed of the noise that a latent search starts from.</summary>
    public required int Seed { get; init; }

    /// <summary>Slots of all conditions together, C.</summary>
    public int ConditionWidth => ConditionWidths.Sum();

    /// <summary>Widths of the generator's layers, from its input to its output.</summary>
    public int[] GeneratorWidths => [NoiseDimension + ConditionWidth, .. GeneratorLayers, InputWidth];

    /// <summary>Widths of the discriminator's layers, from its input to its output.</summary>
    public int[] DiscriminatorWidths => [PackSize * (InputWidth + ConditionWidth), .. DiscriminatorLayers, 1];

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
            && GeneratorLayers.Count <= MostLayers && DiscriminatorLayers.Count <= MostLayers
            && GeneratorLayers.Concat(DiscriminatorLayers).Append(NoiseDimension).All(w => w is >= 1 and <= MostWidth)
            && Enum.IsDefined(Activation)
            && PackSize is >= 1 and <= MostPack
            && Enum.IsDefined(Score)
            && SearchSteps is >= 1 and <= MostSearchSteps;
        if (!sound)
            throw new FormatException("The saved GAN's shape is out of range.");
    }

    /// <summary>The number of weights and stored values, without building anything.</summary>
    public long Elements()
    {
        int[] judging = DiscriminatorWidths;
        long spectral = SpectralNormalization ? Pairs(judging).Sum(w => (long)w.First + w.Second) : 0;
        return Dense(GeneratorWidths) + Dense(judging) + spectral
            + 2L * InputWidth + (2L + ConditionRows) * ConditionWidth;

        static long Dense(int[] widths) => Pairs(widths).Sum(w => (w.First + 1L) * w.Second);

        static IEnumerable<(int First, int Second)> Pairs(int[] widths) => widths.Zip(widths.Skip(1));
    }
}
