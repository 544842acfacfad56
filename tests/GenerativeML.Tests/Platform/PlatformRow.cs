using Microsoft.ML.Data;

namespace GenerativeML.Tests.Platform;

/// <summary>A row with a column of each kind that matters.</summary>
internal sealed class PlatformRow
{
    public int Id { get; set; }

    public float Value { get; set; }

    [VectorType(3)]
    public float[] Features { get; set; } = [];

    public string? Text { get; set; }

    public bool Flag { get; set; }

    public static List<PlatformRow> Make(int count) =>
    [
        .. Enumerable.Range(0, count).Select(i => new PlatformRow
        {
            Id = i,
            Value = i / 2f,
            Features = [i, i * 2, 1],
            Text = i % 3 == 0 ? null : $"row {i}",
            Flag = i % 2 == 1,
        }),
    ];
}

/// <summary>A row that says nothing of its vector's size.</summary>
internal sealed class UnsizedRow
{
    public float[] Features { get; set; } = [];
}
