using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>Rows in memory as ML.NET sees them, and columns of scores as arrays.</summary>
internal static class VectorRows
{
    /// <summary>A view with one column, <c>Features</c>, of known size.</summary>
    public static IDataView View(MLContext ml, IEnumerable<float[]> rows, int width)
    {
        VectorRow[] held = [.. rows.Select(features => new VectorRow { Features = features })];
        return ml.Data.LoadFromEnumerable(held, Schema(width));
    }

    /// <summary>The same of rows that lie one behind the other, read as a stream through one object.</summary>
    public static IDataView Stream(MLContext ml, float[] values, int width)
    {
        return ml.Data.LoadFromEnumerable(Rows(), Schema(width));

        IEnumerable<VectorRow> Rows()
        {
            var row = new VectorRow { Features = new float[width] };
            for (int at = 0; at < values.Length; at += width)
            {
                values.AsSpan(at, width).CopyTo(row.Features);
                yield return row;
            }
        }
    }

    private static SchemaDefinition Schema(int width)
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(VectorRow));
        schema[nameof(VectorRow.Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, width);
        return schema;
    }

    /// <summary>Reads a column of Single to its end.</summary>
    public static float[] Singles(IDataView data, string name)
    {
        DataViewSchema.Column column = data.Schema[name];
        using DataViewRowCursor cursor = data.GetRowCursor([column]);
        ValueGetter<float> get = cursor.GetGetter<float>(column);
        List<float> values = [];
        for (float value = 0; cursor.MoveNext();)
        {
            get(ref value);
            values.Add(value);
        }
        return [.. values];
    }
}

/// <summary>A row of features.</summary>
internal sealed class VectorRow
{
    /// <summary>The features; the schema gives their number.</summary>
    public float[] Features { get; set; } = [];
}
