using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>
/// Rows of one of the tables, column by column: all of them, or as many as there is room for, every row equally likely
/// (Vitter's algorithm R 1985). With no more rows than that they are in their order.
/// </summary>
internal sealed class ReportTable
{
    private readonly List<double>?[] _numbers;
    private readonly List<int>?[] _codes;
    private readonly int _mostRows;
    private SplitMix64 _random;

    public ReportTable(IReadOnlyList<ReportColumn> columns, int mostRows, int seed)
    {
        Columns = columns;
        _mostRows = mostRows;
        _random = new(SplitMix64.Derive(seed, RandomPurpose.Sample));
        _numbers = [.. columns.Select(c => c.IsNumeric ? new List<double>() : null)];
        _codes = [.. columns.Select(c => c.IsNumeric ? null : new List<int>())];
    }

    public IReadOnlyList<ReportColumn> Columns { get; }

    /// <summary>The number of rows held.</summary>
    public int Rows { get; private set; }

    /// <summary>The number of rows there were.</summary>
    public long SourceRows { get; private set; }

    /// <summary>A column's numbers, NaN where one is missing.</summary>
    public ReadOnlySpan<double> Numbers(int column) => CollectionsMarshal.AsSpan(_numbers[column]);

    /// <summary>A column's categories, by code.</summary>
    public ReadOnlySpan<int> Codes(int column) => CollectionsMarshal.AsSpan(_codes[column]);

    /// <summary>The place for the next row: at the end, that of an earlier row, or −1 for none.</summary>
    public int NextPlace()
    {
        SourceRows++;
        if (Rows < _mostRows)
            return Rows++;
        ulong at = _random.Next() % (ulong)SourceRows;
        return at < (ulong)_mostRows ? (int)at : -1;
    }

    /// <summary>Puts a number where <see cref="NextPlace"/> says.</summary>
    public void Put(int place, int column, double number) => Put(_numbers[column]!, place, number);

    /// <summary>Puts a category where <see cref="NextPlace"/> says.</summary>
    public void Put(int place, int column, int code) => Put(_codes[column]!, place, code);

    /// <summary>The share of rows in which a column's number is missing, or its category empty.</summary>
    public double MissingShare(int column)
    {
        int missing = 0;
        if (Columns[column].IsNumeric)
        {
            foreach (double number in Numbers(column))
                missing += double.IsNaN(number) ? 1 : 0;
        }
        else
        {
            foreach (int code in Codes(column))
                missing += Columns[column].Categories[code].Length == 0 ? 1 : 0;
        }
        return (double)missing / Rows;
    }

    private static void Put<T>(List<T> values, int place, T value)
    {
        if (place == values.Count)
            values.Add(value);
        else
            values[place] = value;
    }
}
