
namespace GenerativeML;

/// <summary>Gathers what has to be known of numbers: range, digits after the point, whether some are missing.</summary>
/// <param name="single">Whether they have the precision of Single.</param>
internal sealed class NumberProfile(bool single)
{
    // More digits than this are no rounding that somebody chose.
    private const int MostSingleDecimals = 5;
    private const int MostDoubleDecimals = 9;

    private readonly int _mostDecimals = single ? MostSingleDecimals : MostDoubleDecimals;
    private double _min = double.PositiveInfinity;
    private double _max = double.NegativeInfinity;
    private bool _missing;
    private int _unit; // into the units of time

    /// <summary>Digits after the decimal point; null where there are too many to be meant.</summary>
    public int? Decimals { get; private set; } = 0;

    /// <summary>The least number; positive infinity where there is none.</summary>
    public double Min => _min;

    /// <summary>The greatest number; negative infinity where there is none.</summary>
    public double Max => _max;

    /// <summary>The coarsest unit of time in which all values are whole, in milliseconds.</summary>
    public long Unit => TableTimes.Units[_unit];

    /// <summary>Counts a number, or NaN for a missing one.</summary>
    public void Add(double value)
    {
        if (double.IsNaN(value))
        {
            _missing = true;
            return;
        }
        _min = Math.Min(_min, value);
        _max = Math.Max(_max, value);
        while (Decimals is int decimals && !IsRound(value, decimals))
            Decimals = decimals < _mostDecimals ? decimals + 1 : null;
        while (TableTimes.Units[_unit] > 1 && value % TableTimes.Units[_unit] != 0)
            _unit++;
    }

    /// <summary>The column of these numbers, divided by a unit.</summary>
    public TableColumn ToColumn(string name, long unit) => new(name, TableColumnKind.Continuous)
    {
        HasMissing = _missing,
        Min = _min / unit,
        Max = _max / unit,
        Decimals = Decimals,
    };

    private bool IsRound(double value, int decimals)
    {
        double rounded = Math.Round(value, decimals);
        return single ? (float)rounded == (float)value : rounded == value;
    }
}
