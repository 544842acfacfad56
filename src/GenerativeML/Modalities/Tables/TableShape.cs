namespace GenerativeML;

/// <summary>The columns of a table as a generator sees them, and which of them is a label; null for none.</summary>
internal sealed record TableShape(IReadOnlyList<TableColumn> Columns, int? Label = null)
{
    /// <summary>The most columns that a table may have.</summary>
    public const int MaxColumns = 1 << 16;

    /// <summary>What errors call some columns together.</summary>
    public string NamesOf(IEnumerable<int> columns) => string.Join(" + ", columns.Select(c => Columns[c].Name));

    /// <summary>Checks a shape that came from a file, or throws a <see cref="FormatException"/>.</summary>
    public void Check()
    {
        if (Columns.Count is < 1 or > MaxColumns || Label is int label && (label < 0 || label >= Columns.Count))
            throw new FormatException("The saved table's columns are out of range.");
        foreach (TableColumn column in Columns)
            column.Check();
    }
}

/// <summary>
/// Numbers, NaN where one is missing; or codes of categories, one of which is for missing values; or what tells rows
/// apart, which is not learned.
/// </summary>
internal enum TableColumnKind
{
    Continuous,
    Categorical,
    Identifier,
}

/// <summary>What is known of a column of a table after one pass over the training rows.</summary>
internal sealed record TableColumn(string Name, TableColumnKind Kind)
{
    /// <summary>The most categories that a column may have.</summary>
    public const int MaxCategories = 1 << 20;

    /// <summary>Codes run from 0 to this − 1, and each occurs in the training rows. Zero for numbers.</summary>
    public int Categories { get; init; }

    /// <summary>The code of the missing value; null where there is none, and for numbers.</summary>
    public int? MissingCode { get; init; }

    /// <summary>Whether numbers are missing in training rows. Generated rows have NaN only then.</summary>
    public bool HasMissing { get; init; }

    /// <summary>The least number in the training rows; generated ones are never below it.</summary>
    public double Min { get; init; }

    /// <summary>The greatest number in the training rows; generated ones are never above it.</summary>
    public double Max { get; init; }

    /// <summary>Whether numbers are ticks of a time or duration.</summary>
    public bool IsTime { get; init; }

    /// <summary>Whether numbers have the precision of Single.</summary>
    public bool IsSingle { get; init; }

    /// <summary>Whether all numbers are dates, written as yyyymmdd.</summary>
    public bool IsCalendar { get; init; }

    /// <summary>The level of the finest step of which all training values are multiples, and generated ones.</summary>
    public int Step { get; init; }

    /// <summary>The size of the finest step; zero where any number can be.</summary>
    public double StepSize => Steps[Step].Size;

    private ReadOnlySpan<NumberStep> Steps => NumberStep.All(IsTime);

    /// <summary>The level of the coarsest step of which a value is a multiple, at most <see cref="Step"/>.</summary>
    public int LevelOf(double value) => Math.Min(NumberStep.LevelOf(value, IsTime), Step);

    /// <summary>The level of the coarsest step of which at least half of some values are multiples.</summary>
    public int UsualStep(IReadOnlyList<(double Value, double Weight)> values)
    {
        double half = 0.5 * values.Sum(v => v.Weight);
        return Enumerable.Range(0, Step).FirstOrDefault(
            level => values.Sum(v => LevelOf(v.Value) <= level ? v.Weight : 0) >= half, Step);
    }

    /// <summary>
    /// The value of this column within a range that is closest to a number and a multiple of a step. Where the range
    /// has none, the finer steps are tried, and then the number itself is brought into the range.
    /// </summary>
    public double Fit(double value, int level, double min, double max)
    {
        for (; level <= Step; level++)
        {
            if (Within(value, Steps[level], min, max) is double fits)
                return fits;
        }
        return OfType(Math.Clamp(value, min, Math.Max(min, max)));
    }

    /// <summary>Whether the column can hold a value within a range that does not begin beyond its end.</summary>
    public bool CanHold(double min, double max) => Within(min, Steps[Step], min, max) is not null;

    /// <summary>A number as the column's type has it.</summary>
    public double OfType(double value) => IsSingle ? NumberStep.Plain((float)value) : value;

    /// <summary>Checks a column that came from a file, or throws a <see cref="FormatException"/>.</summary>
    public void Check()
    {
        bool sound = Kind switch
        {
            TableColumnKind.Categorical => Categories is >= 1 and <= MaxCategories
                && MissingCode is not < 0 && !(MissingCode >= Categories),
            TableColumnKind.Identifier => Categories == 0,
            _ => Kind == TableColumnKind.Continuous && Categories == 0 && double.IsFinite(Min) && double.IsFinite(Max)
                && Min <= Max && Step >= 0 && Step < Steps.Length
                && !(IsCalendar && (IsTime || IsSingle || !CalendarNumber.IsDate(Min) || !CalendarNumber.IsDate(Max))),
        };
        if (!sound)
            throw new FormatException($"The saved table's column {TensorSpec.Quote(Name)} is out of range.");
    }

    private double? Within(double value, NumberStep step, double min, double max)
    {
        double rounded = Rounded(value);
        if (rounded < min || rounded > max)
            rounded = Next(rounded, rounded < min ? 1 : -1);
        return rounded >= min && rounded <= max ? rounded : null;

        double Rounded(double number) =>
            IsCalendar ? CalendarNumber.OfDay(CalendarNumber.LastDay(number)) : OfType(step.Round(number));

        double Next(double number, int direction) => IsCalendar
            ? CalendarNumber.OfDay(CalendarNumber.LastDay(number) + direction)
            : OfType(step.Round(number + direction * step.Size));
    }
}

/// <summary>Dates that are written as numbers, yyyymmdd, and their days, counted from the beginning of year one.</summary>
internal static class CalendarNumber
{
    // Years that such numbers are about; others are rather numbers of something else.
    private const int FirstYear = 1800, LastYear = 2299;

    /// <summary>Whether a number is a date.</summary>
    public static bool IsDate(double number) =>
        number == Math.Floor(number) && number is >= FirstYear * 10000.0 and < (LastYear + 1) * 10000.0
        && OfDay(LastDay(number)) == number;

    /// <summary>The first day that is not before a number.</summary>
    public static double FirstDay(double number)
    {
        double last = LastDay(number);
        return OfDay(last) < number ? last + 1 : last;
    }

    /// <summary>The last day that is not after a number; NaN of NaN. The years that there are end where they end.</summary>
    public static double LastDay(double number)
    {
        if (double.IsNaN(number))
            return number;
        int date = (int)Math.Clamp(number, FirstYear * 10000, (LastYear * 10000) + 1231), month = date / 100 % 100;
        if (month == 0 || (month <= 12 && date % 100 == 0))
        {
            // Before the first of a month or of a year.
            return LastDay(month <= 1 ? ((date / 10000) - 1) * 10000.0 + 1231 : date - 100 + 31);
        }
        int year = date / 10000;
        (month, int day) = month > 12 ? (12, 31) : (month, date % 100);
        return new DateOnly(year, month, Math.Min(day, DateTime.DaysInMonth(year, month))).DayNumber;
    }

    /// <summary>The number of a day.</summary>
    public static double OfDay(double day)
    {
        if (double.IsNaN(day))
            return day;
        DateOnly date = DateOnly.FromDayNumber((int)Math.Clamp(day, 0, DateOnly.MaxValue.DayNumber));
        return (date.Year * 10000) + (date.Month * 100) + date.Day;
    }
}

/// <summary>What numbers are multiples of: ticks, or a one with so many decimals; zero is for any number.</summary>
internal readonly record struct NumberStep(long Unit, int Decimals)
{
    /// <summary>More decimals of a Single than this are no rounding that somebody chose.</summary>
    public const int MaxSingleDecimals = 5;

    private const int MaxDecimals = 9;

    private static readonly NumberStep[] s_numbers =
        [.. Enumerable.Range(0, MaxDecimals + 1).Select(d => new NumberStep(1, d)), new NumberStep(0, 0)];

    private static readonly NumberStep[] s_times =
    [
        .. new[]
        {
            TimeSpan.TicksPerDay, TimeSpan.TicksPerHour, TimeSpan.TicksPerMinute, TimeSpan.TicksPerSecond,
            TimeSpan.TicksPerMillisecond, TimeSpan.TicksPerMicrosecond, 1,
        }.Select(unit => new NumberStep(unit, 0)),
    ];

    /// <summary>How far multiples are apart.</summary>
    public double Size => Unit * Math.Pow(10, -Decimals);

    /// <summary>All steps, from the coarsest, of numbers or of times.</summary>
    public static ReadOnlySpan<NumberStep> All(bool isTime) => isTime ? s_times : s_numbers;

    /// <summary>The level of the coarsest step, from one on, of which a value is a multiple.</summary>
    public static int LevelOf(double value, bool isTime, int level = 0)
    {
        ReadOnlySpan<NumberStep> steps = All(isTime);
        while (level < steps.Length - 1 && steps[level].Round(value) != value)
            level++;
        return level;
    }

    /// <summary>A Single as it is written where that has few decimals, so that 0.1 is the same as in Double.</summary>
    public static double Plain(float value)
    {
        for (int decimals = 0; decimals <= MaxSingleDecimals; decimals++)
        {
            double rounded = Math.Round((double)value, decimals);
            if ((float)rounded == value)
                return rounded;
        }
        return value;
    }

    /// <summary>The closest multiple.</summary>
    public double Round(double value) => Unit switch
    {
        0 => value,
        1 => Math.Abs(value) < 1e15 ? Math.Round(value, Decimals) : value,
        _ => Math.Round(value / Unit) * Unit,
    };
}

/// <summary>Rows of a table, column by column: numbers, NaN where one is missing, and codes of categories.</summary>
internal sealed class TableBlock(TableShape shape, int capacity)
{
    private readonly double[][] _columns = [.. shape.Columns.Select(_ => new double[capacity])];

    public TableShape Shape => shape;

    /// <summary>The number of rows there is room for.</summary>
    public int Capacity => capacity;

    /// <summary>The values of a column, (Capacity).</summary>
    public double[] this[int column] => _columns[column];

    /// <summary>Copies one row, all columns, to a row of another block of the same shape.</summary>
    public void CopyRow(int from, TableBlock target, int to)
    {
        for (int c = 0; c < _columns.Length; c++)
            target[c][to] = _columns[c][from];
    }
}

/// <summary>The training rows of a table, which can be read again and again, always in the same order.</summary>
internal interface ITableSource
{
    /// <summary>What is known of the columns.</summary>
    TableShape Shape { get; }

    /// <summary>The number of rows; at least one.</summary>
    long RowCount { get; }

    /// <summary>Starts a pass over all rows.</summary>
    ITableReader Open();
}

/// <summary>One pass over the rows; used by one thread at a time.</summary>
internal interface ITableReader : IDisposable
{
    /// <summary>Reads up to so many rows into a block; fewer, and then zero, only at the end.</summary>
    int Read(TableBlock block, int count);
}
