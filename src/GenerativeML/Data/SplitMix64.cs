using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>
/// SplitMix64 (Steele, Lea and Flood 2014): its state is one number, so that draws can be repeated from a seed.
/// </summary>
internal struct SplitMix64(ulong seed)
{
    private const ulong Increment = 0x9E3779B97F4A7C15;
    private ulong _state = seed;

    /// <summary>The next 64 random bits.</summary>
    public ulong Next() => Mix(_state += Increment);

    /// <summary>A whole number from 0 to <paramref name="below"/> − 1, by the remainder.</summary>
    public int Next(int below) => (int)(Next() % (ulong)below);

    /// <summary>A number in [0, 1) with 53 random bits.</summary>
    public double NextDouble() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>A place, as likely as its share of the sum.</summary>
    public int Choose(ReadOnlySpan<double> shares) => Choose(shares, NextDouble() * TensorPrimitives.Sum(shares));

    /// <summary>The place among shares where a number from zero to their sum falls.</summary>
    public static int Choose(ReadOnlySpan<double> shares, double point)
    {
        int last = 0;
        for (int i = 0; i < shares.Length; i++)
        {
            if (!(shares[i] > 0))
                continue;
            last = i;
            if ((point -= shares[i]) < 0)
                break;
        }
        return last; // rounding may leave the point at the end
    }

    /// <summary>Shuffles from the end: each item changes places with one at or before it.</summary>
    public void Shuffle<T>(Span<T> items)
    {
        for (int i = items.Length - 1; i > 0; i--)
        {
            int j = Next(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    /// <summary>A seed for one purpose, independent of those for other purposes and numbers.</summary>
    public static ulong Derive(int seed, RandomPurpose purpose, long number = 0)
    {
        ulong z = Mix((uint)seed + Increment);
        z = Mix(z ^ ((ulong)purpose + 1) * Increment);
        return Mix(z ^ (ulong)number * Increment);
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}

/// <summary>What random numbers are drawn for: each purpose has its own, whatever the others use up.</summary>
internal enum RandomPurpose
{
    Initialization,
    Training,
    Order,
    Validation,
    Sample,
    Scoring,
    Generation,
    Part,
    Calibration,
    Identifier,
}

/// <summary>Normal numbers with mean 0 and deviation 1 that follow from a seed, without torch and on any device.</summary>
internal static class NormalNumbers
{
    /// <summary>Draws numbers in pairs (Box and Muller 1958).</summary>
    public static void Fill(ref SplitMix64 random, Span<float> values)
    {
        for (int i = 0; i < values.Length; i += 2)
        {
            double radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
            (double sine, double cosine) = Math.SinCos(2 * Math.PI * random.NextDouble());
            values[i] = (float)(radius * cosine);
            if (i + 1 < values.Length)
                values[i + 1] = (float)(radius * sine);
        }
    }
}
