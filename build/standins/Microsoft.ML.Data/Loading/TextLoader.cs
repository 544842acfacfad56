using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>What a text file's fields mean.</summary>
public sealed class TextLoader
{
    private readonly Options _options;

    internal TextLoader(IHostEnvironment env, Options options, string path)
    {
        _options = options;
        env.CheckParam(options.Columns?.Length > 0, "Columns", "no columns to load");
        env.CheckParam(options.Separators?.Length > 0, "Separators", "no separator");
        string[] header = options.HasHeader ? ReadHeader(path) : [];
        DataViewSchema.Builder builder = new();
        foreach (Column column in options.Columns)
        {
            env.CheckParam(
                column.Source?.All(r => r.Min >= 0 && r.Max >= r.Min) == true, "Source", $"no fields for '{column.Name}'");
            builder.AddColumn(column.Name, column.MakeType(), column.MakeAnnotations(header));
        }

        Schema = builder.ToSchema();
    }

    internal DataViewSchema Schema { get; }

    internal IDataView Load(string path) => new TextDataView(path, _options, Schema);

    private string[] ReadHeader(string path)
    {
        using StreamReader reader = new(path);
        TextFields fields = new(_options);
        return fields.ReadLine(reader)
            ? [.. Enumerable.Range(0, fields.Count).Select(i => fields[i].ToString().Trim())]
            : [];
    }

    public sealed class Range
    {
        public int Min;
        public int? Max;

        public Range(int index)
            : this(index, index)
        {
        }

        public Range(int min, int? max)
        {
            Min = min;
            Max = max;
        }
    }

    public sealed class Column
    {
        public string Name;
        public Range[] Source;

        public Column(string name, DataKind dataKind, int index)
            : this(name, dataKind, [new Range(index)])
        {
        }

        public Column(string name, DataKind dataKind, int minIndex, int maxIndex)
            : this(name, dataKind, [new Range(minIndex, maxIndex)])
        {
        }

        internal Column(string name, DataKind dataKind, Range[] source)
        {
            Name = name;
            DataKind = dataKind;
            Source = source;
        }

        public DataKind DataKind { get; set; }

        internal int[] Fields
            => [.. Source.SelectMany(range => Enumerable.Range(range.Min, range.Max.Value - range.Min + 1))];

        internal DataViewType MakeType()
        {
            PrimitiveDataViewType item = ColumnTypeExtensions.PrimitiveTypeFromKind(DataKind);
            return Source is [{ } only] && only.Min == only.Max ? item : new VectorDataViewType(item, Fields.Length);
        }

        /// <summary>A vector's slots are named by the header.</summary>
        internal DataViewSchema.Annotations MakeAnnotations(string[] header)
        {
            int[] fields = Fields;
            DataViewSchema.Annotations.Builder builder = new();
            if (MakeType() is VectorDataViewType && fields.Any(field => field < header.Length))
            {
                VBuffer<ReadOnlyMemory<char>> names = new(
                    fields.Length, [.. fields.Select(f => f < header.Length ? header[f].AsMemory() : default)]);
                builder.AddSlotNames(
                    fields.Length, (ref VBuffer<ReadOnlyMemory<char>> value) => names.CopyTo(ref value));
            }

            return builder.ToAnnotations();
        }
    }

    public class Options
    {
        public bool AllowQuoting;
        public char[] Separators = ['\t'];
        public Column[] Columns;
        public bool TrimWhitespace;
        public bool HasHeader;
        public bool MissingRealsAsNaNs;
    }
}
