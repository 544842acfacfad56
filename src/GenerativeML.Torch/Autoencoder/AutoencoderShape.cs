namespace GenerativeML.Torch;

/// <summary>Everything about an autoencoder's networks that must be known to build them again.</summary>
internal sealed record AutoencoderShape
{
    /// <summary>Slots of the input.</summary>
    public required int InputWidth { get; init; }

    /// <summary>Widths of the encoder's hidden layers, from the input inwards.</summary>
    public required IReadOnlyList<int> HiddenLayers { get; init; }

    /// <summary>Width of the innermost layer.</summary>
    public required int LatentDimension { get; init; }

    /// <summary>Networks of this shape, trained side by side from different initial weights.</summary>
    public required int Members { get; init; }

    public required Activation Activation { get; init; }

    public required double Dropout { get; init; }

    public required bool BatchNormalization { get; init; }
}
