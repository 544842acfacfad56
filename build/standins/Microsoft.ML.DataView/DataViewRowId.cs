namespace Microsoft.ML.Data;

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
}
