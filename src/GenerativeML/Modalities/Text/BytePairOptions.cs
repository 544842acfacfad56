using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>How a byte-pair vocabulary is learned.</summary>
public sealed record BytePairOptions
{
    /// <summary>
    /// The most tokens, the 256 for single bytes among them. From 257 to 1,000,000. Fewer come out where no pair is
    /// frequent enough. Default 4096.
    /// </summary>
    public int VocabularySize { get; init; } = 4096;

    /// <summary>How often a pair must occur to become a token. At least 1. Default 2.</summary>
    public long LeastFrequency { get; init; } = 2;

    /// <summary>
    /// Whether the last token is <c>&lt;|endoftext|&gt;</c>, which stands between documents. Default: yes.
    /// </summary>
    public bool EndOfText { get; init; } = true;

    /// <summary>Told the share of the vocabulary that has been learned, from 0 to 1, now and then.</summary>
    [JsonIgnore]
    public IProgress<double>? Progress { get; init; }

    /// <summary>Stops the learning.</summary>
    [JsonIgnore]
    public CancellationToken CancellationToken { get; init; }

    internal void Validate()
    {
        OptionChecks.Within(VocabularySize, 257, 1_000_000);
        OptionChecks.AtLeast(LeastFrequency, 1);
    }
}
