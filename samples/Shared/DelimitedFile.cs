using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Unicode;
using Microsoft.ML;
using Microsoft.ML.Data;
using nietras.SeparatedValues;

namespace DataFiles;

/// <summary>A column of a text.</summary>
internal sealed record DelimitedColumn(string Name, PrimitiveDataViewType Type) : FileColumn(Name, Type)
{
    /// <summary>The decimal sign of its numbers.</summary>
    public char DecimalSign { get; init; } = '.';

    /// <summary>The formats of its dates.</summary>
    public string[] Formats { get; init; } = ColumnInference.Iso;
}

/// <summary>Delimited text. Separator, encoding, header, decimal sign and types are inferred; Sep takes the lines apart.</summary>
internal sealed class DelimitedFile : TableFile
{
    private const int HeadLength = 1 << 20;

    // In this order, as a comma may be a decimal sign, and a blank stands in texts.
    private static readonly char[] s_separators = ['\t', ';', '|', ',', ' '];

    // With a mark, or else the reader of a text that has one would not throw.
    private static readonly UTF8Encoding s_utf8 = new(encoderShouldEmitUTF8Identifier: true, throwOnInvalidBytes: true);

    private DelimitedColumn[] _columns = [];
    private Encoding _encoding = s_utf8;

    /// <summary>What stands between values.</summary>
    public required char Separator { get; init; }

    /// <summary>Whether the first line names the columns.</summary>
    public required bool HasHeader { get; init; }

    /// <inheritdoc cref="TableFile.Open"/>
    public static new DelimitedFile Open(string path, TableFileOptions options)
    {
        Encoding encoding = EncodingOf(path);
        char separator;
        using (StreamReader text = OpenText(path, encoding, out char? told, out _))
            separator = told ?? SeparatorOf(Head(path, text));

        // The first line stands aside until the types of the others say whether it is one of them.
        using var rows = new Rows(path, encoding, separator);
        if (!rows.MoveNext())
            throw new InvalidDataException($"{path} is empty.");
        string[] first = rows.Texts();
        ColumnInference[] found = [.. first.Select(_ => new ColumnInference())];
        int firstLine = rows.Line;
        long count = 0;
        bool more;
        while ((more = rows.MoveNext()) && count < options.InferredRows)
        {
            for (int c = 0; c < found.Length; c++)
                found[c].Add(rows[c], rows.Line);
            count++;
        }
        bool isClear = true, hasHeader = options.HasHeader ?? IsHeader(first, found, out isClear);
        for (int c = 0; c < found.Length && !hasHeader; c++)
            found[c].Add(first[c], firstLine);
        count += hasHeader ? 0 : 1;
        if (count == 0)
            throw new InvalidDataException($"{path} has a header, and no rows.");

        string[] names = [.. first.Select((name, c) => hasHeader && name.Length > 0 ? name : c.ToString(CultureInfo.InvariantCulture))];
        CheckNames(path, names);
        HashSet<int> texts = [.. options.AsText.Select(column => IndexOf(path, names, column))];
        List<string> notes = [];
        if (options.HasHeader is null && !(hasHeader && isClear))
        {
            notes.Add($"The first row, '{string.Join(separator, first)}', was taken for {(hasHeader ? "names" : "data")} by its types; "
                + "say whether there is a header where that is wrong.");
        }
        char?[] signs = [.. found.Select(column => column.DecimalSign).Distinct().Where(sign => sign is not null)];
        DelimitedColumn[] columns =
        [
            .. found.Select((column, c) => texts.Contains(c)
                ? new DelimitedColumn(names[c], TextDataViewType.Instance)
                : column.Column(names[c], signs is [char sign] ? sign : null, separator, !more, notes)),
        ];
        return new DelimitedFile
        {
            Path = path, Columns = columns, RowCount = more ? null : count, Notes = notes, Separator = separator, HasHeader = hasHeader,
            _columns = columns, _encoding = encoding,
        };
    }

    /// <summary>Another file of the same columns, types and layout.</summary>
    public DelimitedFile Like(string path) => new()
    {
        Path = path, Columns = _columns, RowCount = null, Separator = Separator, HasHeader = HasHeader, _columns = _columns,
        _encoding = EncodingOf(path),
    };

    /// <summary>The rows as they stand there, as texts.</summary>
    public IEnumerable<string[]> Texts()
    {
        using Rows rows = Start();
        while (rows.MoveNext())
            yield return rows.Texts();
    }

    /// <summary>Writes rows of texts to a file like this one.</summary>
    public void Write(string path, IEnumerable<string[]> rows) => Write(path, Separator, HasHeader, Names, writer =>
    {
        foreach (string[] row in rows)
        {
            using SepWriter.Row line = writer.NewRow();
            line[Names].Set(row);
        }
    });

    /// <inheritdoc/>
    public override void Save(IDataView rows, string path) => Write(
        rows, path, Separator, HasHeader, Names, name => Array.Find(_columns, column => column.Name == name)!.DecimalSign);

    /// <summary>Writes the columns of a view that are named.</summary>
    public static void Write(IDataView rows, string path, char separator, bool hasHeader, string[] names, Func<string, char> decimalSign) =>
        Write(path, separator, hasHeader, names, writer =>
        {
            using DataViewRowCursor cursor = rows.GetRowCursor(names.Select(name => rows.Schema[name]));
            Func<string>[] values = [.. names.Select(name => Text(cursor, rows.Schema[name], decimalSign(name)))];
            while (cursor.MoveNext())
            {
                using SepWriter.Row line = writer.NewRow();
                for (int i = 0; i < names.Length; i++)
                    line[names[i]].Set(values[i]());
            }
        });

    /// <inheritdoc/>
    protected override IRows Read(bool[] active) => Start();

    private Rows Start()
    {
        var rows = new Rows(Path, _encoding, Separator, _columns);
        if (HasHeader)
            rows.MoveNext();
        return rows;
    }

    /// <summary>Names stand above numbers, dates or Booleans; where all is text, the first line names the columns.</summary>
    private static bool IsHeader(string[] first, ColumnInference[] found, out bool isClear)
    {
        // A code with leading zeros is a number here: it names no column.
        Type?[] kinds = [.. first.Select(value =>
        {
            var one = new ColumnInference();
            one.Add(value, 1);
            return !ColumnInference.IsMissing(value)
                && (ColumnInference.TryNumber(value, '.', out _) || ColumnInference.TryNumber(value, ',', out _)) ? typeof(double) : one.Kind;
        })];
        int[] typed = [.. Enumerable.Range(0, first.Length).Where(c => found[c].Kind is not null)];
        isClear = typed.Length > 0;
        return typed.Length == 0
            ? !kinds.Contains(typeof(double))
            : typed.Any(c => !ColumnInference.IsMissing(first[c]) && kinds[c] != found[c].Kind);
    }

    private static char SeparatorOf(string head)
    {
        (char Separator, int[] Widths)[] each = [.. s_separators.Select(separator => (separator, Widths(separator)))];
        return each.FirstOrDefault(s => s.Widths is [> 1, ..] && s.Widths.All(width => width == s.Widths[0])).Separator is char same and not '\0'
            ? same
            : each.SkipLast(1).MaxBy(s => s.Widths.FirstOrDefault()) is { Widths: [> 1, ..] } most ? most.Separator : ',';

        int[] Widths(char separator)
        {
            using SepReader rows = Sep.New(separator).Reader(o => o with { HasHeader = false, DisableColCountCheck = true }).FromText(head);
            List<int> widths = [];
            foreach (SepReader.Row row in rows)
            {
                if (!row.Span.IsWhiteSpace())
                    widths.Add(row.ColCount);
                if (widths.Count == 200)
                    break;
            }
            return [.. widths];
        }
    }

    /// <summary>The first lines.</summary>
    private static string Head(string path, StreamReader text)
    {
        char[] head = new char[HeadLength];
        int length;
        try
        {
            length = text.ReadBlock(head);
        }
        catch (DecoderFallbackException)
        {
            throw NoUtf8(path);
        }
        int end = length < head.Length ? length : Array.LastIndexOf(head, '\n') + 1;
        return new string(head, 0, end > 0 ? end : length);
    }

    /// <summary>By its mark; without, UTF-16 has zeros, and what is not UTF-8 is what Windows writes in western countries.</summary>
    private static Encoding EncodingOf(string path)
    {
        byte[] head = new byte[HeadLength];
        using Stream file = OpenBytes(path);
        ReadOnlySpan<byte> there = head.AsSpan(0, file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false));
        if (there is [0xff, 0xfe, ..] or [0xfe, 0xff, ..] or [0, 0, 0xfe, 0xff, ..])
            return s_utf8; // the reader of the text follows the mark
        if (there is [not 0, 0, not 0, 0, ..])
            return Encoding.Unicode;
        if (there is [0, not 0, 0, not 0, ..])
            return Encoding.BigEndianUnicode;
        if (there.Contains((byte)0))
            throw new InvalidDataException($"{path} is no text: it has zero bytes. Delimited text or Parquet is expected.");
        try
        {
            _ = s_utf8.GetDecoder().GetCharCount(there, flush: there.Length < head.Length);
            return s_utf8;
        }
        catch (DecoderFallbackException)
        {
            return CodePagesEncodingProvider.Instance.GetEncoding(1252)!;
        }
    }

    private static InvalidDataException NoUtf8(string path)
    {
        int line = 1;
        using var text = new StreamReader(OpenBytes(path), Encoding.Latin1, detectEncodingFromByteOrderMarks: false);
        while (text.ReadLine() is string one && Utf8.IsValid(Encoding.Latin1.GetBytes(one)))
            line++;
        return new InvalidDataException($"{path}, line {line}: bytes that are no UTF-8, as the first part of the file is. Save the file as UTF-8.");
    }

    private static Stream OpenBytes(string path)
    {
        FileStream file = File.OpenRead(path);
        bool packed = file.ReadByte() == 0x1f && file.ReadByte() == 0x8b;
        file.Position = 0;
        return packed ? new GZipStream(file, CompressionMode.Decompress) : file;
    }

    /// <summary>The text from its first row on: after comments, and after the line by which spreadsheets name the separator.</summary>
    private static StreamReader OpenText(string path, Encoding encoding, out char? separator, out int skipped)
    {
        const string told = "sep=";
        var text = new StreamReader(OpenBytes(path), encoding, detectEncodingFromByteOrderMarks: true, 1 << 16);
        (separator, skipped) = (null, 0);
        using (var first = new StreamReader(OpenBytes(path), encoding))
        {
            char[] start = new char[told.Length + 2];
            if (first.ReadBlock(start) == start.Length && new string(start).StartsWith(told, StringComparison.OrdinalIgnoreCase) && start[^1] is '\r' or '\n')
                separator = start[^2];
        }
        for (; (skipped == 0 && separator is not null) || text.Peek() == '#'; skipped++)
            text.ReadLine();
        return text;
    }

    /// <summary>Writes under another name, and renames what is complete.</summary>
    private static void Write(string path, char separator, bool hasHeader, string[] names, Action<SepWriter> write)
    {
        string part = $"{path}.{Guid.NewGuid():N}.part";
        try
        {
            using (SepWriter writer = Sep.New(separator).Writer(o => o with { WriteHeader = hasHeader, Escape = true }).ToFile(part))
            {
                writer.Header.Add(names);
                write(writer);
            }
            File.Move(part, path, overwrite: true);
        }
        finally
        {
            File.Delete(part);
        }
    }

    private static Func<string> Text(DataViewRowCursor cursor, DataViewSchema.Column column, char decimalSign)
    {
        return column.Type.RawType switch
        {
            Type t when t == typeof(float) => Of<float>(value => float.IsNaN(value) ? "" : Number(value)),
            Type t when t == typeof(double) => Of<double>(value => double.IsNaN(value) ? "" : Number(value)),
            Type t when t == typeof(int) => Of<int>(value => Number(value)),
            Type t when t == typeof(long) => Of<long>(value => Number(value)),
            Type t when t == typeof(bool) => Of<bool>(value => value ? "true" : "false"),
            Type t when t == typeof(ReadOnlyMemory<char>) => Of<ReadOnlyMemory<char>>(value => value.ToString()),
            Type t when t == typeof(DateTime) => Of<DateTime>(value => value == DateTime.MinValue ? ""
                : value.ToString(value.TimeOfDay == TimeSpan.Zero ? "yyyy-MM-dd" : "yyyy-MM-dd HH:mm:ss.FFFFFFF", CultureInfo.InvariantCulture)),
            _ => throw new ArgumentException($"Column '{column.Name}' is of type {column.Type}, which no text holds."),
        };

        Func<string> Of<T>(Func<T, string> text)
        {
            ValueGetter<T> getter = cursor.GetGetter<T>(column);
            T value = default!;
            return () =>
            {
                getter(ref value);
                return text(value);
            };
        }

        string Number(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture).Replace('.', decimalSign);
    }

    private delegate bool Parser<T>(ReadOnlySpan<char> text, out T value);

    /// <summary>A way through the lines, blank ones left out, each with as many values as the first.</summary>
    private sealed class Rows : IRows
    {
        private readonly string _path;
        private readonly DelimitedColumn[]? _columns;
        private readonly SepReader _reader;
        private readonly int _skipped;
        private int _width;

        public Rows(string path, Encoding encoding, char separator, DelimitedColumn[]? columns = null)
        {
            (_path, _columns, _width) = (path, columns, columns?.Length ?? 0);
            _reader = Sep.New(separator)
                .Reader(o => o with { HasHeader = false, DisableColCountCheck = true, Unescape = true, Trim = SepTrim.All })
                .From(OpenText(path, encoding, out _, out _skipped));
        }

        /// <summary>The row's first line in the file.</summary>
        public int Line => _reader.Current.LineNumberFrom + _skipped;

        public ReadOnlySpan<char> this[int column] => _reader.Current[column].Span;

        public string[] Texts() => _reader.Current[..].ToStringsArray();

        public bool MoveNext()
        {
            while (Next())
            {
                SepReader.Row row = _reader.Current;
                if (row.Span.Count('"') % 2 == 1)
                    throw new InvalidDataException($"{_path}, line {Line}: a quote is opened and never closed, or a quote stands within a value.");
                if (row.ColCount == 1 && row.Span.IsWhiteSpace())
                    continue;
                _width = _width == 0 ? row.ColCount : _width;
                if (row.ColCount == _width)
                    return true;
                int last = row.LineNumberToExcl - 1 + _skipped;
                throw new InvalidDataException(
                    $"{_path}, line {Line}{(last > Line ? $" to {last}" : "")}: {row.ColCount} values, and {_width} in the rows before it.");
            }
            return false;
        }

        public Delegate Getter(int column)
        {
            DelimitedColumn of = _columns![column];
            return of.Type.RawType switch
            {
                Type t when t == typeof(float) => Getter<float>(column, float.NaN, (text, out value) =>
                {
                    bool fits = ColumnInference.TryNumber(text, of.DecimalSign, out double number);
                    value = (float)number;
                    return fits;
                }),
                Type t when t == typeof(double) => Getter<double>(column, double.NaN, (text, out value) =>
                    ColumnInference.TryNumber(text, of.DecimalSign, out value) && !ColumnInference.LosesDigits(text, of.DecimalSign, value)),
                Type t when t == typeof(int) => Getter<int>(column, null, (text, out value) =>
                {
                    bool fits = ColumnInference.TryNumber(text, of.DecimalSign, out double number)
                        && number == Math.Round(number) && Math.Abs(number) <= int.MaxValue;
                    value = fits ? (int)number : 0;
                    return fits;
                }),
                Type t when t == typeof(long) => Getter<long>(column, null, (text, out value) =>
                {
                    if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value))
                        return true;
                    bool fits = ColumnInference.TryNumber(text, of.DecimalSign, out double number)
                        && number == Math.Round(number) && Math.Abs(number) <= long.MaxValue / 2
                        && !ColumnInference.LosesDigits(text, of.DecimalSign, number);
                    value = fits ? (long)number : 0;
                    return fits;
                }),
                Type t when t == typeof(bool) => Getter<bool>(column, null, bool.TryParse),
                Type t when t == typeof(DateTime) => Getter<DateTime>(
                    column, DateTime.MinValue, (text, out value) => ColumnInference.TryTime(text, of.Formats, out value)),
                _ => (ValueGetter<ReadOnlyMemory<char>>)((ref ReadOnlyMemory<char> value) => value = this[column].ToString().AsMemory()),
            };
        }

        public void Dispose() => _reader.Dispose();

        private ValueGetter<T> Getter<T>(int column, T? missing, Parser<T> parse) where T : struct => (ref T value) =>
        {
            ReadOnlySpan<char> text = this[column];
            if (missing is T none && ColumnInference.IsMissing(text))
                value = none;
            else if (!parse(text, out value))
            {
                string how = value is double held && double.IsFinite(held) && Math.Abs(held) >= 1L << 53 ? " to its last digit" : "";
                throw new InvalidDataException(
                    $"{_path}, line {Line}: '{text}' in column '{_columns![column].Name}' is no {typeof(T).Name}{how}, "
                    + "as the rows are that types were inferred from. Correct it, or read the column as text.");
            }
        };

        // Sep reads on for the end of a quote, until it has more than any row should have.
        private bool Next()
        {
            try
            {
                return _reader.MoveNext();
            }
            catch (NotSupportedException e)
            {
                throw new InvalidDataException(
                    $"{_path}, after line {Line}: a quote is opened and never closed, or a row has more than 16 million characters.", e);
            }
            catch (DecoderFallbackException)
            {
                throw NoUtf8(_path);
            }
        }
    }
}
