using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>The type of an output column's elements.</summary>
internal enum OutputKind
{
    Single,
    Boolean,
    Key,
    Text,
    Image,
}

/// <summary>A column that a model adds to each row: a scalar of width zero, a vector, or an image.</summary>
internal sealed record OutputColumn(string Name, OutputKind Kind, int Width = 0)
{
    /// <summary>
    /// The input column whose slot names this vector carries, a nameless slot being <c>Features.3</c>. Without one a
    /// vector's slots are <c>Latent.0</c>, <c>Latent.1</c> …: tools such as permutation importance need names.
    /// </summary>
    public string? SlotNamesFrom { get; init; }

    /// <summary>The names of a vector's slots, where they are those of no one column.</summary>
    public IReadOnlyList<string>? SlotNames { get; init; }

    /// <summary>What images are, for <see cref="OutputKind.Image"/>, whose width is that of their numbers.</summary>
    public ImageFormat? Image { get; init; }

    /// <summary>The column of classes that a <see cref="OutputKind.Key"/> is one of, with its annotations.</summary>
    public VectorSchemaColumn? Class { get; init; }

    /// <summary>How many values a key has, for <see cref="OutputKind.Key"/> without <see cref="Class"/>.</summary>
    public int KeyCount { get; init; } = 1;

    /// <summary>What a Boolean says of a row with NaN or infinity: predicted labels say anomaly.</summary>
    public bool IfUnknown { get; init; }

    /// <summary>What ML.NET's evaluators and tools need to know of a score; null for other columns.</summary>
    public ScoreAnnotation? Score { get; init; }
}

/// <summary>The annotations <c>ScoreColumnKind</c>, the task, and <c>ScoreValueKind</c>, the part in it.</summary>
internal sealed record ScoreAnnotation(string ColumnKind, string ValueKind)
{
    public static ScoreAnnotation AnomalyScore { get; } = new("AnomalyDetection", "Score");

    public static ScoreAnnotation AnomalyLabel { get; } = new("AnomalyDetection", "PredictedLabel");

    public static ScoreAnnotation ClassScore { get; } = new("MulticlassClassification", "Score");

    public static ScoreAnnotation ClassLabel { get; } = new("MulticlassClassification", "PredictedLabel");
}

/// <summary>The types and annotations of output columns.</summary>
internal static class OutputAnnotations
{
    private const string SlotNames = "SlotNames";
    private const string ScoreColumnSetId = "ScoreColumnSetId";

    private static readonly KeyDataViewType s_setIdType = new(typeof(uint), int.MaxValue);

    /// <summary>The columns as an estimator promises them: as they would be delivered.</summary>
    public static SchemaShape Promise(IReadOnlyList<OutputColumn> columns)
    {
        var schema = new DataViewSchema.Builder();
        Deliver(schema, columns, input: null);
        return MLNetInternals.ShapeOf(schema.ToSchema());
    }

    /// <summary>Adds the columns to a schema whose other columns are those of <paramref name="input"/>.</summary>
    public static void Deliver(
        DataViewSchema.Builder schema, IReadOnlyList<OutputColumn> columns, DataViewSchema? input)
    {
        uint setId = NextSetId(input);
        foreach (OutputColumn column in columns)
        {
            var annotations = new DataViewSchema.Annotations.Builder();
            if (column.Width > 0)
            {
                ReadOnlyMemory<char>[] names = NamesOf(column, input);
                annotations.Add(
                    SlotNames,
                    new VectorDataViewType(TextDataViewType.Instance, column.Width),
                    (ref VBuffer<ReadOnlyMemory<char>> value) =>
                        VBuffer<ReadOnlyMemory<char>>.Copy(names, 0, ref value, names.Length));
            }
            if (column.Score is ScoreAnnotation score)
            {
                annotations.AddPrimitiveValue(ScoreColumnSetId, s_setIdType, setId);
                TextDataViewType text = TextDataViewType.Instance;
                annotations.AddPrimitiveValue("ScoreColumnKind", text, score.ColumnKind.AsMemory());
                annotations.AddPrimitiveValue("ScoreValueKind", text, score.ValueKind.AsMemory());
            }
            if (column.Class is { Annotations: { Count: > 0 } known })
                annotations.Add(TableAnnotation.Build(known), name => name == "KeyValues");
            PrimitiveDataViewType item = column.Kind switch
            {
                OutputKind.Key =>
                    new KeyDataViewType(typeof(uint), column.Class?.Type.KeyCount ?? (ulong)column.KeyCount),
                OutputKind.Single => NumberDataViewType.Single,
                OutputKind.Boolean => BooleanDataViewType.Instance,
                _ => TextDataViewType.Instance,
            };
            DataViewType type = column.Image is { } image ? image.Type : column.Width > 0 ? new VectorDataViewType(item, column.Width) : item;
            schema.AddColumn(column.Name, type, annotations.ToAnnotations());
        }
    }

    /// <summary>The number that joins the columns of one score: one that no score in a schema has yet.</summary>
    private static uint NextSetId(IEnumerable<DataViewSchema.Column>? schema)
    {
        uint largest = 0, id = 0;
        foreach (DataViewSchema.Annotations annotations in (schema ?? []).Select(c => c.Annotations))
        {
            DataViewType? type = annotations.Schema.GetColumnOrNull(ScoreColumnSetId)?.Type;
            if (type is not KeyDataViewType || type.RawType != typeof(uint))
                continue;
            annotations.GetValue(ScoreColumnSetId, ref id);
            largest = Math.Max(largest, id);
        }
        return largest + 1;
    }

    private static ReadOnlyMemory<char>[] NamesOf(OutputColumn column, DataViewSchema? input)
    {
        if (column.SlotNames is { } own)
            return [.. own.Select(name => name.AsMemory())];
        DataViewSchema.Column? source = column.SlotNamesFrom is string name ? input?[name] : null;
        ReadOnlyMemory<char>[] given = source is { } named ? InputColumns.SlotNames(named) : [];
        var names = new ReadOnlyMemory<char>[column.Width];
        if (given.Length == names.Length)
            given.CopyTo(names, 0);
        for (int i = 0; i < names.Length; i++)
        {
            if (names[i].IsEmpty)
                names[i] = string.Create(CultureInfo.InvariantCulture, $"{column.SlotNamesFrom ?? column.Name}.{i}").AsMemory();
        }
        return names;
    }
}
