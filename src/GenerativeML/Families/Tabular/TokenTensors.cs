using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>What tokens stand for, to tensors and back.</summary>
internal static class TokenTensors
{
    /// <summary>Writes values over a CPU tensor of as many.</summary>
    public static void Write<T>(torch.Tensor target, IEnumerable<T> values)
        where T : unmanaged => MemoryMarshal.AsBytes<T>(values.ToArray()).CopyTo(target.bytes);

    /// <summary>The tokens of categories that occur so often.</summary>
    /// <exception cref="FormatException">They make no sense.</exception>
    public static CategoryTokens Categories(ReadOnlySpan<long> counts, int tokens)
    {
        foreach (long count in counts)
        {
            if (count is < 0 or > 1L << 53)
                throw Unsound();
        }
        var column = new CategoryTokens(counts.ToArray(), tokens == counts.Length ? tokens : tokens - 1);
        return column.Count == tokens ? column : throw Unsound();
    }

    /// <summary>The error of tensors that make no sense.</summary>
    public static FormatException Unsound() => new("The saved table generator's tokens are out of range.");
}
