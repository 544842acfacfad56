namespace GenerativeML.TestWorker;

/// <summary>A row of the table that <c>leave … generating</c> learns.</summary>
internal sealed class Cells
{
    public float Number { get; set; }

    public int Whole { get; set; }
}
