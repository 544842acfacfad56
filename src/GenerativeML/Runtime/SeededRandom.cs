using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TorchSharp;
using Lanes = System.Runtime.Intrinsics.Vector512<uint>;
using Values = System.Runtime.Intrinsics.Vector512<float>;

namespace GenerativeML;

/// <summary>Random tensors on a device, drawn from a seed alone: torch's own random state is not touched.</summary>
/// <remarks>
/// They are drawn on the CPU, whatever the device, so that a run draws the same numbers on every one. And they are
/// drawn here: torch's generator takes two to three times as long for uniform and normal numbers, and fifty times for
/// ones that say which units dropout keeps.
/// </remarks>
internal sealed class SeededRandom
{
    private const int Width = 16;
    private const int Block = 64; // vectors of numbers at a time: they stay in the processor's nearest cache

    // The state of so many xoshiro128++ (Blackman and Vigna 2019) side by side.
    private Lanes _s0, _s1, _s2, _s3;

    public SeededRandom(torch.Device device, ulong seed = 0)
    {
        Device = device;
        Seed(seed);
    }

    /// <summary>Where the tensors are.</summary>
    public torch.Device Device { get; }

    /// <summary>Starts anew.</summary>
    public void Seed(ulong newSeed)
    {
        var seeds = new SplitMix64(newSeed);
        Span<ulong> state = stackalloc ulong[2 * Width];
        foreach (ref ulong part in state)
            part = seeds.Next();
        ReadOnlySpan<uint> words = MemoryMarshal.Cast<ulong, uint>(state);
        _s0 = Vector512.Create(words);
        _s1 = Vector512.Create(words[Width..]);
        _s2 = Vector512.Create(words[(2 * Width)..]);
        _s3 = Vector512.Create(words[(3 * Width)..]);
    }

    /// <summary>Uniform in [from, to).</summary>
    public torch.Tensor Uniform(long[] shape, double from, double to)
    {
        Values low = Vector512.Create((float)from), range = Vector512.Create((float)(to - from));
        Values most = Vector512.Create(MathF.BitDecrement((float)to)); // a sum may be rounded up to the end
        return Draw(shape, units =>
        {
            foreach (ref Values u in units)
                u = Vector512.Min(low + (u * range), most);
        });
    }

    /// <summary>Normal with mean 0.</summary>
    public torch.Tensor Normal(long[] shape, double deviation = 1)
    {
        Values scale = Vector512.Create((float)deviation), turn = Vector512.Create(2 * MathF.PI);
        return Draw(shape, units =>
        {
            // Box and Muller 1958: two uniform numbers make two normal ones.
            for (int i = 0; i < Block / 2; i++)
            {
                ref Values x = ref units[i], y = ref units[i + (Block / 2)];
                Values radius = scale * Vector512.Sqrt(-2f * Vector512.Log(Values.One - x));
                (Values sine, Values cosine) = Vector512.SinCos(turn * y);
                (x, y) = (radius * cosine, radius * sine);
            }
        });
    }

    /// <summary>One with this probability, otherwise zero.</summary>
    public torch.Tensor Bernoulli(long[] shape, double probability)
    {
        Values limit = Vector512.Create((float)probability);
        return Draw(shape, units =>
        {
            foreach (ref Values u in units)
                u = Vector512.ConditionalSelect(Vector512.LessThan(u, limit), Values.One, Values.Zero);
        });
    }

    /// <summary>Draws numbers in [0, 1) and makes of them, block by block, what is wanted.</summary>
    private torch.Tensor Draw(long[] shape, Transformation transform)
    {
        torch.Tensor host = torch.empty(shape, torch.ScalarType.Float32, torch.CPU);
        Span<float> target = MemoryMarshal.Cast<byte, float>(host.bytes);
        Span<Values> units = stackalloc Values[Block];
        Span<float> drawn = MemoryMarshal.Cast<Values, float>(units);
        for (int at = 0; at < target.Length; at += drawn.Length)
        {
            foreach (ref Values u in units)
                u = Vector512.ConvertToSingle((Next() >>> 8).AsInt32()) * (1f / (1 << 24)); // 24 bits are a Single's
            transform(units);
            drawn[..Math.Min(drawn.Length, target.Length - at)].CopyTo(target[at..]);
        }
        return HostTensors.OnDevice(host, Device);
    }

    private Lanes Next()
    {
        Lanes result = Rotate(_s0 + _s3, 7) + _s0, shifted = _s1 << 9;
        _s2 ^= _s0;
        _s3 ^= _s1;
        _s1 ^= _s2;
        _s0 ^= _s3;
        _s2 ^= shifted;
        _s3 = Rotate(_s3, 11);
        return result;
    }

    private static Lanes Rotate(Lanes x, int bits) => (x << bits) | (x >>> (32 - bits));

    private delegate void Transformation(Span<Values> units);
}
