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
    /// <summary>In place of an axis: the numbers are the same for any rows of a batch.</summary>
    public const int ForAll = -1;

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

    /// <summary>
    /// Which rows of a larger batch tensors are for: they get the numbers that these rows have where the batch is computed
    /// at once. Null: all there are.
    /// </summary>
    public RowRange? Rows { get; set; }

    /// <summary>Where the numbers stand, to go back there.</summary>
    public SeededRandom Copy() => new(Device) { _s0 = _s0, _s1 = _s1, _s2 = _s2, _s3 = _s3 };

    /// <summary>Goes on where another stands.</summary>
    public void GoTo(SeededRandom other) => (_s0, _s1, _s2, _s3) = (other._s0, other._s1, other._s2, other._s3);

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

    /// <summary>Uniform in [from, to). Which axis the rows of a batch are along; <see cref="ForAll"/>: none.</summary>
    public torch.Tensor Uniform(long[] shape, double from, double to, int rowAxis = 0)
    {
        Values low = Vector512.Create((float)from), range = Vector512.Create((float)(to - from));
        Values most = Vector512.Create(MathF.BitDecrement((float)to)); // a sum may be rounded up to the end
        return Draw(shape, rowAxis, units =>
        {
            foreach (ref Values u in units)
                u = Vector512.Min(low + (u * range), most);
        });
    }

    /// <summary>Normal with mean 0. Which axis the rows of a batch are along; <see cref="ForAll"/>: none.</summary>
    public torch.Tensor Normal(long[] shape, double deviation = 1, int rowAxis = 0)
    {
        Values scale = Vector512.Create((float)deviation), turn = Vector512.Create(2 * MathF.PI);
        return Draw(shape, rowAxis, units =>
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

    /// <summary>One with this probability, otherwise zero. Which axis the rows of a batch are along.</summary>
    public torch.Tensor Bernoulli(long[] shape, double probability, int rowAxis = 0)
    {
        Values limit = Vector512.Create((float)probability);
        return Draw(shape, rowAxis, units =>
        {
            foreach (ref Values u in units)
                u = Vector512.ConditionalSelect(Vector512.LessThan(u, limit), Values.One, Values.Zero);
        });
    }

    /// <summary>Draws numbers in [0, 1) and makes of them, block by block, what is wanted.</summary>
    private torch.Tensor Draw(long[] shape, int rowAxis, Transformation transform)
    {
        torch.Tensor host = torch.empty(shape, torch.ScalarType.Float32, torch.CPU);
        Span<float> target = MemoryMarshal.Cast<byte, float>(host.bytes);
        var wanted = rowAxis != ForAll && Rows is { } rows && target.Length > 0
            ? rows.NumbersOf(shape, rowAxis, target.Length)
            : new NumberRange(0, target.Length, target.Length, 1);
        Span<Values> units = stackalloc Values[Block];
        Span<float> drawn = MemoryMarshal.Cast<Values, float>(units);
        long end = wanted.Of * wanted.Times;
        for (long at = 0; at < end; at += drawn.Length)
        {
            // Of each turn the numbers of these rows; those of others are only passed over.
            long until = Math.Min(at + drawn.Length, end), first = at / wanted.Of, last = (until - 1) / wanted.Of;
            bool isDrawn = false;
            for (long turn = first; turn <= last; turn++)
            {
                long start = turn * wanted.Of + wanted.Start;
                long from = Math.Max(at, start), to = Math.Min(until, start + wanted.Count);
                if (from >= to)
                    continue;
                if (!isDrawn)
                {
                    foreach (ref Values u in units)
                        u = Vector512.ConvertToSingle((Next() >>> 8).AsInt32()) * (1f / (1 << 24)); // 24 bits are a Single's
                    transform(units);
                    isDrawn = true;
                }
                drawn[(int)(from - at)..(int)(to - at)].CopyTo(target[(int)(turn * wanted.Count + from - start)..]);
            }
            for (int i = 0; i < Block && !isDrawn; i++)
                Next();
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

/// <summary>
/// Some rows of a batch that is computed in parts: from the first on, so many of so many, where so many neighbours belong
/// together.
/// </summary>
internal readonly record struct RowRange(int First, int Count, int Of, int Together = 1)
{
    /// <summary>One of so many parts of these rows; rows that belong together stay so.</summary>
    public RowRange Part(int part, int parts)
    {
        (int count, int together) = (Count, Together);
        int groups = (count + together - 1) / together, start = Start(part);
        return this with { First = First + start, Count = Start(part + 1) - start };

        // Rounded up, so that the first part has rows wherever any has.
        int Start(int i) => (int)Math.Min(count, ((long)groups * i + parts - 1) / parts * together);
    }

    /// <summary>
    /// Which numbers these rows have among those of the whole batch, for a tensor of so many numbers with the rows along an
    /// axis: some entries for each row, or one for each group.
    /// </summary>
    public NumberRange NumbersOf(long[] shape, int axis, int numbers)
    {
        long entries = shape.Length > axis ? shape[axis] : 0;
        if (Count == 0 || entries == 0)
            return new(0, numbers, numbers, 1);
        long turns = 1;
        for (int i = 0; i < axis; i++)
            turns *= shape[i];
        long each = numbers / turns / entries;
        if (entries == Count - (Count % Together)) // rows that are left over in the last group are no part of it
            return new(First * each, entries * each, (Of - (Of % Together)) * each, turns);
        if (entries == Count / Together)
            return new(First / Together * each, entries * each, Of / Together * each, turns);
        return entries % Count == 0
            ? new(First * (entries / Count) * each, entries * each, Of * (entries / Count) * each, turns)
            : new((long)First * numbers, numbers, (long)Of * numbers, 1); // other rows have other numbers, and that is all
    }
}

/// <summary>So many numbers from one on, of so many, and that so many times.</summary>
internal readonly record struct NumberRange(long Start, long Count, long Of, long Times);
