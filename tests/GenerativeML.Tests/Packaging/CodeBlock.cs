using System.Text.Json;
using System.Text.RegularExpressions;

namespace GenerativeML.Tests.Packaging;

/// <summary>
/// A C# block of a document. <c>```csharp run</c> marks a whole program, which is compiled by itself and run; other
/// blocks of a page go on from each other, as a reader takes them.
/// </summary>
/// <param name="Document">The document's path in the repository.</param>
/// <param name="Line">Where its code begins there, counted from one.</param>
/// <param name="Code">What it says.</param>
/// <param name="IsProgram">Whether it is run.</param>
internal sealed partial record CodeBlock(string Document, int Line, string Code, bool IsProgram)
{
    /// <summary>The C# blocks of a page; each says what it uses, so that it can be copied by itself.</summary>
    public static IEnumerable<CodeBlock> OfPage(string repository, string document)
    {
        string text = File.ReadAllText(Path.Combine(repository, document)).ReplaceLineEndings("\n");
        CodeBlock[] blocks =
        [
            .. Fence().Matches(text).Select(block => new CodeBlock(
                document,
                2 + text.AsSpan(0, block.Index).Count('\n'),
                block.Groups["code"].Value,
                block.Groups["run"].Success)),
        ];
        Assert.HasCount(AnyFence().Count(text), blocks, $"{document} has a block that begins neither with ```csharp nor with ```csharp run");
        foreach (CodeBlock block in blocks)
            StringAssert.StartsWith(block.Code, "using GenerativeML;\nusing Microsoft.ML;\n", $"{document}, line {block.Line}");
        return blocks;
    }

    /// <summary>
    /// A notebook's cells as one program, without what is said to its kernel. Lines are counted over the cells, since
    /// those of the file are JSON's.
    /// </summary>
    public static CodeBlock OfNotebook(string repository, string document)
    {
        using JsonDocument notebook = JsonDocument.Parse(File.ReadAllText(Path.Combine(repository, document)));
        IEnumerable<string> cells = notebook.RootElement.GetProperty("cells").EnumerateArray()
            .Where(cell => cell.GetProperty("cell_type").GetString() == "code")
            .Select(cell => string.Concat(cell.GetProperty("source").EnumerateArray().Select(line => line.GetString())));
        return new(document, 1, KernelDirective().Replace(string.Join('\n', cells), ""), IsProgram: true);
    }

    [GeneratedRegex(
        @"^```csharp(?<run> run)?\n(?<code>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fence();

    [GeneratedRegex(@"^[ \t]*(```|~~~)[ \t]*(cs|c#)", RegexOptions.Multiline | RegexOptions.IgnoreCase)]
    private static partial Regex AnyFence();

    [GeneratedRegex(@"^#[r!].*$", RegexOptions.Multiline)]
    private static partial Regex KernelDirective();
}
