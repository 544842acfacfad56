
namespace GenerativeML;

/// <summary>A bounded random sample of texts, each as likely as any other (Vitter's algorithm R 1985).</summary>
internal sealed class TextSample(int size, int seed)
{
    private readonly List<string> _texts = [];
    private SplitMix64 _random = new(SplitMix64.Derive(seed, RandomPurpose.Sample));
    private ulong _seen;

    /// <summary>The texts in the sample.</summary>
    public string[] ToArray() => [.. _texts];

    /// <summary>Looks at one more text.</summary>
    public void Add(string text)
    {
        _seen++;
        if (_texts.Count < size)
            _texts.Add(text);
        else if (_random.Next() % _seen is ulong place && place < (ulong)size)
            _texts[(int)place] = text;
    }
}
