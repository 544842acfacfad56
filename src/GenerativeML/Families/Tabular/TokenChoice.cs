using System.Numerics;
using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>Draws tokens by their shares, and values by their tokens.</summary>
internal static class TokenChoice
{
    /// <summary>What is added to the shares of tokens that a condition limits, so that no row is without any.</summary>
    public const double LeastShare = 1e-9;

    /// <summary>An index for each row, as likely as its share: (B, n) → (B).</summary>
    public static torch.Tensor Draw(torch.Tensor share, SeededRandom random)
    {
        torch.Tensor upTo = share.cumsum(1);
        long last = share.shape[1] - 1;
        // Not zero, so that nothing without a share is chosen.
        torch.Tensor point = random.Uniform([share.shape[0], 1], 1e-7, 1).mul(upTo.narrow(1, last, 1));
        torch.Tensor below = upTo.sub(point).lt(0).to(torch.ScalarType.Float32).sum(1L);
        return below.to(torch.ScalarType.Int64).clamp(0, last);
    }

    /// <summary>The index that a point of the sum of shares falls to; never one without a share.</summary>
    /// <param name="share">The shares, not all zero.</param>
    /// <param name="sum">Their sum.</param>
    /// <param name="point">In [0, 1).</param>
    public static int Draw(ReadOnlySpan<float> share, double sum, double point)
    {
        double rest = point * sum;
        int i = 0;
        // Whole vectors are passed over at once.
        for (; i <= share.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            double some = Vector.Sum(new Vector<float>(share[i..]));
            if (some > rest)
                break;
            rest -= some;
        }
        int last = -1;
        for (; i < share.Length && rest >= 0; i++)
        {
            if (share[i] <= 0)
                continue;
            last = i;
            rest -= share[i];
        }
        // Where rounding left nothing at the end, the last one that has a share.
        return last >= 0 ? last : share.LastIndexOfAnyInRange(float.Epsilon, float.MaxValue);
    }

    /// <summary>Indices in host memory.</summary>
    public static int[] ToArray(torch.Tensor indices)
    {
        using torch.Tensor host = indices.cpu();
        long[] values = MemoryMarshal.Cast<byte, long>(host.bytes).ToArray();
        return Array.ConvertAll(values, v => (int)v);
    }

    /// <summary>Writes a value for each token to a column.</summary>
    /// <param name="values">Draws the values.</param>
    /// <param name="tokens">The rows' tokens.</param>
    /// <param name="block">Where to.</param>
    /// <param name="start">The first row.</param>
    /// <param name="column">Which column.</param>
    /// <param name="seed">The seed of the rows.</param>
    /// <param name="position">The column's position, which has random numbers of its own.</param>
    public static void Write(
        TokenValues values, int[] tokens, TableBlock block, int start, int column, ulong seed, int position)
    {
        var random = new SplitMix64(seed ^ SplitMix64.Derive(position, RandomPurpose.Generation));
        for (int row = 0; row < tokens.Length; row++)
            values.Draw(tokens[row], block, column, start + row, ref random);
    }
}
