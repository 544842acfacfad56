namespace TextGeneration;

/// <summary>A row of the corpus: a line of a text, or a text of its own.</summary>
internal sealed class Document
{
    public string Text { get; set; } = "";
}
