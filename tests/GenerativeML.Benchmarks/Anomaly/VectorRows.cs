using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>Rows in memory as ML.NET sees them, and columns of scores as arrays.</summary>
internal static class VectorRows
{
    /// <summary>A view with one column, <c>Features</c>, of known size.</summary>
    public static IDataView View(MLContext ml, IEnumerable<float[]> rows, int width)
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(VectorRow));
        schema[nameof(VectorRow.Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, width);
        VectorRow[] held = [.. rows.Select(features => new VectorRow { Features = features })];
        return ml.Data.LoadFromEnumerable(held, schema);
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
