namespace GenerativeML;

/// <summary>What a decoder keeps of the tokens of one sequence that it has run.</summary>
internal interface ISequenceCache : IDisposable;

/// <summary>A token that goes through the network.</summary>
/// <param name="Cache">
/// What is kept of its sequence: of all positions before it, from earlier runs or from the same one.
/// </param>
/// <param name="Token">Its number.</param>
/// <param name="Position">Where in the window it stands.</param>
internal readonly record struct DecoderRow(ISequenceCache Cache, int Token, int Position);

/// <summary>
/// Runs a GPT over tokens: a prompt's, or the newest of several sequences, or both together. Used by one thread at a
/// time.
/// </summary>
internal interface IGptDecoder
{
    /// <summary>The network's shape.</summary>
    GptShape Shape { get; }

    /// <summary>The most tokens in a run.</summary>
    int MostRows { get; }

    /// <summary>Numbers in a row of logits: the vocabulary, and padding.</summary>
    int LogitStride { get; }

    /// <summary>
    /// The final hidden states of the rows of the last run, after the last normalisation: (rows × width).
    /// </summary>
    ReadOnlySpan<float> Hidden { get; }

    /// <summary>A cache for a sequence.</summary>
    ISequenceCache NewCache();

    /// <summary>Runs tokens; those of the same sequence follow each other, in the order of their positions.</summary>
    /// <param name="rows">At most <see cref="MostRows"/>.</param>
    void Run(ReadOnlySpan<DecoderRow> rows);

    /// <summary>Logits of neighbouring rows of the last run.</summary>
    /// <param name="first">The first row.</param>
    /// <param name="count">How many.</param>
    /// <param name="logits">(count × <see cref="LogitStride"/>): overwritten.</param>
    void Logits(int first, int count, Memory<float> logits);
}
