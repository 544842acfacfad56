namespace GenerativeML.Torch;

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
            && ScoreSamples is >= 1 and <= MostSamples;
        if (!sound)
            throw new FormatException("The saved VAE's shape is out of range.");
    }

    /// <summary>The number of weights and stored values, without building anything.</summary>
    public long Elements()
    {
        long condition = ConditionWidths.Sum(w => (long)w);
        long[] inwards = [InputWidth + condition, .. HiddenLayers];
        long[] outwards = [LatentDimension + condition, .. HiddenLayers.Reverse(), InputWidth];
        return Dense(inwards) + 2 * (inwards[^1] + 1) * LatentDimension + Dense(outwards) + InputWidth
            + 4L * InputWidth + (2L + ConditionRows) * condition
            + (Score == VaeScore.Novelty ? inwards[^1] + VaeNovelty.Parts + (long)MemoryRows * InputWidth : 0);

        static long Dense(long[] widths) => widths.Zip(widths.Skip(1)).Sum(w => (w.First + 1) * w.Second);
    }
}
