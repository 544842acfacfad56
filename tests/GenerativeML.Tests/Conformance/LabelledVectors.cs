using GenerativeML.Tests.Rows;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Conformance;

/// <summary>Vectors that depend on their labels: a key of three values, and whether they are large.</summary>
internal static class LabelledVectors
{
    public const int Width = 3;

    public static TableView Rows(int rows) => new TableView(rows)
        .Add("Kind", new KeyDataViewType(typeof(uint), 3), row => (uint)(row % 3 + 1))
        .Add("Id", NumberDataViewType.Int32, row => row)
        .AddVector("Features", Width, row =>
        {
            float size = row % 2 == 0 ? 10 : 1;
            float[] values = new float[Width];
            for (int j = 0; j < Width; j++)
                values[j] = size * (j == row % 3 ? 2 : 0) + MathF.Sin(row * (j + 0.7f));
            return values;
        })
        .Add("Large", BooleanDataViewType.Instance, row => row % 2 == 0);
}
