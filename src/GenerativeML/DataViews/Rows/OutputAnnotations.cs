using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using VectorKind = Microsoft.ML.SchemaShape.Column.VectorKind;

namespace GenerativeML;

/// <summary>
/// The types and annotations of output columns, twice: as promised before any data is seen, and as delivered. The two
/// stand side by side because they must agree.
/// </summary>
internal static class OutputAnnotations
{
    private const string SlotNames = "SlotNames";
    private const string ScoreColumnSetId = "ScoreColumnSetId";
    private const string ScoreColumnKind = "ScoreColumnKind";
    private const string ScoreValueKind = "ScoreValueKind";

    private static readonly KeyDataViewType s_setIdType = new(typeof(uint), int.MaxValue);

    /// <summary>The column as an estimator promises it.</summary>
    public static SchemaShape.Column Promise(OutputColumn column)
    {
        var annotations = new List<SchemaShape.Column>();
        if (column.SlotNamesFrom is not null)
            annotations.Add(MLNetInternals.NewShape(SlotNames, VectorKind.Vector, TextDataViewType.Instance));
        if (column.Score is not null)
        {
            annotations.Add(MLNetInternals.NewShape(
                ScoreColumnSetId, VectorKind.Scalar, NumberDataViewType.UInt32, isKey: true));
            annotations.Add(MLNetInternals.NewShape(ScoreColumnKind, VectorKind.Scalar, TextDataViewType.Instance));
            annotations.Add(MLNetInternals.NewShape(ScoreValueKind, VectorKind.Scalar, TextDataViewType.Instance));
        }
        return MLNetInternals.NewShape(
            column.Name,
            column.Width > 0 ? VectorKind.Vector : VectorKind.Scalar,
            ItemType(column.Kind),
            isKey: false,
            new SchemaShape(annotations));
    }

    /// <summary>
    /// Adds the column to a schema whose input columns are those of <paramref name="input"/>; the number
    /// <paramref name="setId"/> joins the columns of one score.
    /// </summary>
    public static void Deliver(DataViewSchema.Builder schema, OutputColumn column, DataViewSchema input, uint setId)
    {
        var annotations = new DataViewSchema.Annotations.Builder();
        if (column.SlotNamesFrom is string source)
        {
            ReadOnlyMemory<char>[] names = NamesOf(input[source], column.Width);
            annotations.Add(
                SlotNames,
                new VectorDataViewType(TextDataViewType.Instance, column.Width),
                (ref VBuffer<ReadOnlyMemory<char>> value) =>
                    VBuffer<ReadOnlyMemory<char>>.Copy(names, 0, ref value, names.Length));
        }
        if (column.Score is ScoreAnnotation score)
        {
            annotations.AddPrimitiveValue(ScoreColumnSetId, s_setIdType, setId);
            annotations.AddPrimitiveValue(ScoreColumnKind, TextDataViewType.Instance, score.ColumnKind.AsMemory());
            annotations.AddPrimitiveValue(ScoreValueKind, TextDataViewType.Instance, score.ValueKind.AsMemory());
        }
        PrimitiveDataViewType item = ItemType(column.Kind);
        DataViewType type = column.Width > 0 ? new VectorDataViewType(item, column.Width) : item;
        schema.AddColumn(column.Name, type, annotations.ToAnnotations());
    }

    /// <summary>A number that no score in <paramref name="schema"/> has yet.</summary>
    public static uint NextSetId(DataViewSchema schema)
    {
        uint largest = 0;
        foreach (DataViewSchema.Column column in schema)
        {
            DataViewType? type = column.Annotations.Schema.GetColumnOrNull(ScoreColumnSetId)?.Type;
            if (type is not KeyDataViewType || type.RawType != typeof(uint))
                continue;
            uint id = 0;
            column.Annotations.GetValue(ScoreColumnSetId, ref id);
            largest = Math.Max(largest, id);
        }
        return largest + 1;
    }

    private static PrimitiveDataViewType ItemType(OutputKind kind) => kind switch
    {
        OutputKind.Single => NumberDataViewType.Single,
        OutputKind.Boolean => BooleanDataViewType.Instance,
        _ => TextDataViewType.Instance,
    };

    /// <summary>
    /// The slot names of a vector column; where a slot has none, the column's name and the slot's number.
    /// </summary>
    private static ReadOnlyMemory<char>[] NamesOf(DataViewSchema.Column column, int width)
    {
        VBuffer<ReadOnlyMemory<char>> given = default;
        DataViewType? type = column.Annotations.Schema.GetColumnOrNull(SlotNames)?.Type;
        if (type is VectorDataViewType vector && vector.Size == width && vector.ItemType is TextDataViewType)
            column.Annotations.GetValue(SlotNames, ref given);

        var names = new ReadOnlyMemory<char>[width];
        if (given.Length == width)
            given.CopyTo(names);
        for (int i = 0; i < width; i++)
        {
            if (names[i].IsEmpty)
                names[i] = string.Create(CultureInfo.InvariantCulture, $"{column.Name}.{i}").AsMemory();
        }
        return names;
    }
}
