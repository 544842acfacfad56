using System.Globalization;
using System.Numerics;
using Microsoft.ML.Data;

namespace DataFiles;

/// <summary>What the values of a column have in common, told value by value.</summary>
internal sealed class ColumnInference
{
    private static readonly string[] s_missing = ["NA", "N/A", "#N/A", "NaN", "null", "none", "nil", "missing", "?", "-", "--", "."];

    private static readonly NumberFormatInfo s_comma = new() { NumberDecimalSeparator = ",", NumberGroupSeparator = "." };

    private static readonly string[] s_times = ["", " H:mK", " H:m:sK", " H:m:s.FFFFFFFK", "'T'H:mK", "'T'H:m:sK", "'T'H:m:s.FFFFFFFK"];

    /// <summary>Year, day or month first.</summary>
    private static readonly string[][] s_dates =
    [
        Formats("yyyy-M-d", "yyyy/M/d"), Formats("d.M.yyyy", "d/M/yyyy", "d-M-yyyy"), Formats("M/d/yyyy", "M-d-yyyy"),
    ];

    /// <summary>The formats of dates with the year first.</summary>
    public static string[] Iso => s_dates[0];

    private readonly NumberKind _point = new('.'), _comma = new(',');
    private readonly bool[] _dates = [true, true, true];
    private bool _areNumbers = true, _areBooleans = true, _differ, _hasComma;
    private (string Text, int Line)? _onlyPoint, _onlyComma;

    /// <summary>How many values are there.</summary>
    public long Present { get; private set; }

    /// <summary>How many are missing.</summary>
    public long Missing { get; private set; }

    /// <summary>Number, Boolean or time, as all values are; null for text.</summary>
    public Type? Kind => Present == 0 ? null
        : _areNumbers ? typeof(double)
        : _areBooleans ? typeof(bool)
        : _dates.Contains(true) ? typeof(DateTime)
        : null;

    /// <summary>The decimal sign that its numbers have for certain; null where there are none, or both would do.</summary>
    public char? DecimalSign => Present == 0 || _point.Fits == _comma.Fits ? null : _point.Fits ? '.' : ',';

    /// <summary>Whether a value is none: nothing, NA, null, ?, a dash…</summary>
    public static bool IsMissing(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty)
            return true;
        if (text.Length > 7)
            return false;
        foreach (string mark in s_missing)
        {
            if (text.Equals(mark, StringComparison.OrdinalIgnoreCase))
                return true;
        }
        return false;
    }

    /// <summary>A number with its decimal sign; thousands may be set apart by the other sign, a blank or an apostrophe.</summary>
    public static bool TryNumber(ReadOnlySpan<char> text, char decimalSign, out double value)
    {
        int end = text.IndexOf(decimalSign) is var at && at < 0 ? text.Length : at;
        int group = text[..end].IndexOfAny(decimalSign == '.' ? ",  '\u202f\u2019" : ".  '\u202f\u2019");
        if (group < 0)
        {
            return double.TryParse(text, NumberStyles.Float, decimalSign == '.' ? CultureInfo.InvariantCulture : s_comma, out value)
                || IsInfinite(text, out value);
        }
        value = 0;
        int start = text[0] is '-' or '+' ? 1 : 0;
        if (group - start is not (>= 1 and <= 3) || text[start] == '0' || text.Length > 40)
            return false;
        Span<char> plain = stackalloc char[text.Length];
        int length = 0;
        for (int i = 0; i < text.Length; i++)
        {
            bool separates = i >= group && i < end && (i - group) % 4 == 0;
            if (separates ? text[i] != text[group] || end - i < 4 : i >= start && i < end && !char.IsAsciiDigit(text[i]))
                return false;
            if (!separates)
                plain[length++] = i == end ? '.' : text[i];
        }
        return (end - group) % 4 == 0
            && double.TryParse(plain[..length], NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>Whether a whole number, written with all its digits, is another one as a Double.</summary>
    public static bool LosesDigits(ReadOnlySpan<char> text, char decimalSign, double value)
    {
        int point = text.IndexOf(decimalSign);
        if (Math.Abs(value) < 1L << 53 || !double.IsFinite(value) || text.ContainsAny('e', 'E')
            || (point >= 0 && text[(point + 1)..].ContainsAnyExcept('0')))
            return false;
        text = point < 0 ? text : text[..point]; // 12.0 is whole, too
        string digits = string.Concat(text.ToString().Where(char.IsAsciiDigit)); // thousands are set apart by other signs
        // Who writes a Double in full writes the digits that tell it, and then zeros.
        BigInteger whole = BigInteger.Parse(digits, CultureInfo.InvariantCulture), held = new(Math.Abs(value));
        string shortest = Math.Abs(value).ToString("R", CultureInfo.InvariantCulture);
        return whole != held && whole != BigInteger.Parse(shortest, NumberStyles.Float, CultureInfo.InvariantCulture);
    }

    /// <summary>A date, with a time or without, in one of some formats.</summary>
    public static bool TryTime(ReadOnlySpan<char> text, string[] formats, out DateTime time)
    {
        // Nanoseconds: two digits more than a DateTime has.
        int fraction = text.LastIndexOf('.') + 1, digits = text[fraction..].IndexOfAnyExceptInRange('0', '9');
        digits = digits < 0 ? text.Length - fraction : digits;
        if (fraction > 0 && digits is 8 or 9)
            text = string.Concat(text[..(fraction + 7)], text[(fraction + digits)..]);
        return DateTime.TryParseExact(text, formats, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal | DateTimeStyles.AssumeUniversal, out time);
    }

    /// <summary>Takes a value into account.</summary>
    public void Add(ReadOnlySpan<char> text, int line)
    {
        if (IsMissing(text))
        {
            Missing++;
            return;
        }
        Present++;
        _hasComma |= text.Contains(',');
        if (_areNumbers)
        {
            // A code, such as a post code, is no number: its zeros would be lost.
            bool isCode = text.Length > 1 && text[0] == '0' && char.IsAsciiDigit(text[1]) && !text.ContainsAny('.', ',');
            double withComma = 0;
            bool point = TryNumber(text, '.', out double withPoint) && !isCode, comma = TryNumber(text, ',', out withComma) && !isCode;
            _areNumbers = point || comma;
            _differ |= point && comma && withPoint != withComma;
            if (point && !comma)
                _onlyPoint ??= (text.ToString(), line);
            if (comma && !point)
                _onlyComma ??= (text.ToString(), line);
            _point.Add(point, text, withPoint);
            _comma.Add(comma, text, withComma);
        }
        _areBooleans = _areBooleans && bool.TryParse(text, out _);
        for (int i = 0; i < _dates.Length; i++)
            _dates[i] = _dates[i] && TryTime(text, s_dates[i], out _);
    }

    /// <summary>The column's type and how it is read, by all values that were told.</summary>
    /// <param name="name">The column's name.</param>
    /// <param name="decimalSign">The file's decimal sign, by its other columns; null where no column tells.</param>
    /// <param name="separator">What separates its values.</param>
    /// <param name="isWhole">Whether these were all rows.</param>
    /// <param name="notes">Takes what a reader should know.</param>
    public DelimitedColumn Column(string name, char? decimalSign, char separator, bool isWhole, List<string> notes)
    {
        var text = new DelimitedColumn(name, TextDataViewType.Instance);
        if (Present == 0)
            return text;
        if (_areNumbers && !_point.Fits && !_comma.Fits)
        {
            notes.Add(
                $"Column '{name}' has numbers with a decimal point ('{_onlyPoint?.Text}', line {_onlyPoint?.Line}) and with a decimal "
                + $"comma ('{_onlyComma?.Text}', line {_onlyComma?.Line}): it was read as text.");
            return text;
        }
        if (_areNumbers)
        {
            // "1,234" has two readings: that of the file's other columns, otherwise the one that the separator leaves.
            char sign = DecimalSign ?? (_differ ? decimalSign ?? (_hasComma && separator != ',' ? ',' : '.') : '.');
            if (_differ && (DecimalSign ?? decimalSign) is null && (_hasComma || separator != ','))
                notes.Add($"Column '{name}' has numbers of two readings; '{sign}' was taken for the decimal sign.");
            NumberDataViewType? type = (sign == '.' ? _point : _comma).Type(Missing > 0, isWhole);
            if (type is null)
                notes.Add($"Column '{name}' has whole numbers that Double does not hold to the last digit: it was read as text.");
            return type is null ? text : text with { Type = type, DecimalSign = sign };
        }
        if (_areBooleans && Missing == 0 && isWhole)
            return text with { Type = BooleanDataViewType.Instance };
        int[] dates = [.. Enumerable.Range(0, _dates.Length).Where(i => _dates[i])];
        if (dates.Length == 1)
            return text with { Type = DateTimeDataViewType.Instance, Formats = s_dates[dates[0]] };
        if (dates.Length > 1)
            notes.Add($"Column '{name}' has dates that could have the day or the month first: it was read as text.");
        return text;
    }

    private static string[] Formats(params string[] dates) => [.. dates.SelectMany(date => s_times.Select(time => date + time))];

    private static bool IsInfinite(ReadOnlySpan<char> text, out double value)
    {
        bool negative = text.StartsWith('-');
        value = negative ? double.NegativeInfinity : double.PositiveInfinity;
        return text.TrimStart("+-").Equals("inf", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Numbers by one decimal sign: whether all values are, and the least type that holds them.</summary>
    private sealed class NumberKind(char decimalSign)
    {
        private bool _are32 = true, _are64 = true, _areSingles = true, _areExact = true;

        public bool Fits { get; private set; } = true;

        public void Add(bool isNumber, ReadOnlySpan<char> text, double value)
        {
            Fits &= isNumber;
            if (!Fits)
                return;
            bool isWhole = value == Math.Round(value);
            _are32 &= isWhole && Math.Abs(value) <= int.MaxValue;
            _are64 &= _are32 || (isWhole && long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _));
            _areExact &= !LosesDigits(text, decimalSign, value);
            // Six digits survive Single; more may.
            _areSingles &= (text.Length <= 7 && !text.ContainsAny('e', 'E')) || value == double.Parse(
                ((float)value).ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        }

        /// <summary>Null where whole numbers would lose digits.</summary>
        public NumberDataViewType? Type(bool hasGaps, bool isWhole) =>
            isWhole && _are32 && !hasGaps ? NumberDataViewType.Int32
            : isWhole && _are64 && !hasGaps ? NumberDataViewType.Int64
            : !_areExact ? null
            : !isWhole ? NumberDataViewType.Double
            : _areSingles ? NumberDataViewType.Single
            : NumberDataViewType.Double;
    }
}
