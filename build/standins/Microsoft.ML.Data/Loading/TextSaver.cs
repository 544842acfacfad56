using System.Globalization;

namespace Microsoft.ML.Data;

/// <summary>Writes rows as text: a note of what the fields are, a header, and a line for each row.</summary>
internal sealed class TextSaver(IDataView data, char separator, bool forceDense)
{
    /// <summary>A row is written sparsely from some column on where that takes much less room.</summary>
    private const double CostOfSparseField = 2.5;

    private static readonly string[] Kinds =
        ["I1", "U1", "I2", "U2", "I4", "U4", "I8", "U8", "R4", "R8", "TX", "BL"];

    private readonly DataViewSchema.Column[] _columns = [.. data.Schema.Where(c => !c.IsHidden)];

    public void Save(Stream stream, bool headerRow, bool schema)
    {
        using StreamWriter writer = new(stream, bufferSize: 1024, leaveOpen: true);
        bool hasHeader = headerRow
            && _columns.Any(c => c.Type is not VectorDataViewType || AnnotationUtils.HasSlotNames(c));
        if (schema)
            WriteSchema(writer, hasHeader);
        if (hasHeader)
            WriteLine(writer, [.. _columns.Select(c => (HeaderOf(c), Quote("")))]);

        using DataViewRowCursor cursor = data.GetRowCursor(_columns);
        Func<string[]>[] getters = [.. _columns.Select(c => ColumnSets.ForRawType<Func<string[]>>(
            this, c.Type is VectorDataViewType ? nameof(Vector) : nameof(Scalar), ItemType(c).RawType, cursor, c))];
        string[] defaults = [.. _columns.Select(c => DefaultOf(ItemType(c)))];
        while (cursor.MoveNext())
            WriteLine(writer, [.. getters.Select((getter, i) => (getter(), defaults[i]))]);
    }

    private void WriteSchema(StreamWriter writer, bool hasHeader)
    {
        string separatorName = separator switch
        {
            ' ' => "space",
            '\t' => "tab",
            ',' => "comma",
            ';' => "semicolon",
            _ => separator.ToString(),
        };
        writer.WriteLine("#@ TextLoader{");
        if (hasHeader)
            writer.WriteLine("#@   header+");
        writer.WriteLine($"#@   sep={separatorName}");
        int field = 0;
        foreach (DataViewSchema.Column column in _columns)
        {
            string kind = Kinds[(int)ItemType(column).GetRawKind() - 1];
            if (ItemType(column) is KeyDataViewType key)
                kind += $"[{key.Count}]";
            int size = (column.Type as VectorDataViewType)?.Size ?? 1;
            string fields = column.Type is VectorDataViewType ? $"{field}-{field + size - 1}" : $"{field}";
            writer.WriteLine($"#@   col={column.Name}:{kind}:{fields}");
            field += size;
        }

        writer.WriteLine("#@ }");
    }

    private void WriteLine(StreamWriter writer, (string[] Fields, string Default)[] columns)
    {
        int first = forceDense ? columns.Length : FirstSparse(columns);
        List<string> fields = [.. columns[..first].SelectMany(c => c.Fields)];
        if (first < columns.Length)
        {
            string[] rest = [.. columns[first..].SelectMany(c => c.Fields)];
            string[] usual = [.. columns[first..].SelectMany(c => c.Fields.Select(_ => c.Default))];
            fields.Add($"{rest.Length}");
            int[] told = [.. Enumerable.Range(0, rest.Length).Where(i => rest[i] != usual[i])];
            fields.AddRange((told is [] ? [0] : told).Select(i => $"{i}:{rest[i]}"));
        }

        writer.WriteLine(string.Join(separator, fields));
    }

    private static int FirstSparse((string[] Fields, string Default)[] columns)
    {
        int[] told = [.. columns.Select(c => c.Fields.Count(field => field != c.Default))];
        int best = 0, all = columns.Sum(c => c.Fields.Length), dense = 0, left = told.Sum();
        double least = CostOfSparseField * left;
        int denseAtBest = 0;
        for (int i = 0; i < columns.Length; i++)
        {
            dense += columns[i].Fields.Length;
            left -= told[i];
            if (dense + CostOfSparseField * left >= least)
                continue;
            least = dense + CostOfSparseField * left;
            (best, denseAtBest) = (i + 1, dense);
        }

        int sparse = all - denseAtBest;
        return sparse < 5 || sparse < denseAtBest / 5 ? columns.Length : best;
    }

    private static PrimitiveDataViewType ItemType(DataViewSchema.Column column)
        => (column.Type as VectorDataViewType)?.ItemType ?? (PrimitiveDataViewType)column.Type;

    private string[] HeaderOf(DataViewSchema.Column column)
    {
        if (column.Type is not VectorDataViewType vector)
            return [Quote(column.Name)];
        if (!AnnotationUtils.HasSlotNames(column))
            return [.. Enumerable.Repeat(Quote(""), vector.Size)];
        VBuffer<ReadOnlyMemory<char>> names = default;
        column.GetSlotNames(ref names);
        return [.. names.DenseValues().Select(name => Quote(name.ToString()))];
    }

    private string DefaultOf(PrimitiveDataViewType type) => type is KeyDataViewType ? ""
        : type is TextDataViewType ? Quote("")
        : "0";

    private Func<string[]> Scalar<T>(DataViewRow row, DataViewSchema.Column column)
    {
        ValueGetter<T> get = row.GetGetter<T>(column);
        Func<T, string> write = Writer<T>(column);
        T value = default;
        return () =>
        {
            get(ref value);
            return [write(value)];
        };
    }

    private Func<string[]> Vector<T>(DataViewRow row, DataViewSchema.Column column)
    {
        ValueGetter<VBuffer<T>> get = row.GetGetter<VBuffer<T>>(column);
        Func<T, string> write = Writer<T>(column);
        VBuffer<T> value = default;
        return () =>
        {
            get(ref value);
            return [.. value.DenseValues().Select(write)];
        };
    }

    /// <summary>Keys count from zero, and a missing one is nothing; numbers that are none are question marks.</summary>
    private Func<T, string> Writer<T>(DataViewSchema.Column column)
    {
        if (ItemType(column) is KeyDataViewType key)
        {
            return value => Convert.ToUInt64(value, CultureInfo.InvariantCulture) is var raw and > 0 && raw <= key.Count
                ? $"{raw - 1}"
                : "";
        }

        return value => value switch
        {
            ReadOnlyMemory<char> text => Quote(text.ToString()),
            bool flag => flag ? "1" : "0",
            float.NaN or double.NaN => "?",
            float number => number.ToString("R", CultureInfo.InvariantCulture),
            double number => number.ToString("G17", CultureInfo.InvariantCulture),
            _ => string.Create(CultureInfo.InvariantCulture, $"{value}"),
        };
    }

    /// <summary>Nothing is two quotes; text is quoted where it could be taken for something else.</summary>
    private string Quote(string text)
        => text.Length == 0 || text[0] == ' ' || text.AsSpan().IndexOfAny(['"', separator, ':', '\n']) >= 0
            ? $"\"{text.Replace("\"", "\"\"")}\""
            : text;
}
