namespace Microsoft.ML.Data;

/// <summary>A row's 128-bit identity; <see cref="Fork"/>, <see cref="Next"/> and <see cref="Combine"/> mix, one way.</summary>
public readonly struct DataViewRowId(ulong low, ulong high) : IComparable<DataViewRowId>, IEquatable<DataViewRowId>
{
    public readonly ulong Low = low;
    public readonly ulong High = high;

    public int CompareTo(DataViewRowId other)
    {
        int order = High.CompareTo(other.High);
        return order != 0 ? order : Low.CompareTo(other.Low);
    }

    public bool Equals(DataViewRowId other) => Low == other.Low && High == other.High;

    public override bool Equals(object obj) => obj is DataViewRowId other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(Low, High);

    public override string ToString() => $"{High:x16}{Low:x16}";

    public DataViewRowId Combine(DataViewRowId other)
        => new(Mix(Low ^ Mix(other.Low)), Mix(High + Mix(other.High ^ Low)));

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 31)) * 0x9FB21C651E98DF25;
        z = (z ^ (z >> 28)) * 0xD6E8FEB86659FD93;
        return z ^ (z >> 32);
    }
}
