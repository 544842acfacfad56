using System.Text.RegularExpressions;

namespace GenerativeML.Tests.Packaging;

/// <summary>What documents show can be done, and what they quote is there.</summary>
[TestClass]
public sealed partial class DocumentTests
{
    private static readonly string s_repository = PackageTests.Repository();

    [TestMethod]
    [Timeout(180_000)]
    public void Every_block_of_the_documents_compiles_and_whole_programs_run()
    {
        var programs = new DocumentPrograms(
        [
            .. Pages().SelectMany(page => CodeBlock.OfPage(s_repository, page)),
            .. Files("samples/Notebooks", "*.ipynb").Select(path => CodeBlock.OfNotebook(s_repository, path)),
        ]);
        Assert.IsEmpty(programs.Errors(), string.Join('\n', programs.Errors()));
        Assert.IsGreaterThanOrEqualTo(3, programs.Programs.Count());

        string folder = Directory.CreateTempSubdirectory("GenerativeML documents ").FullName;
        try
        {
            foreach ((CodeBlock program, string printed) in programs.Run(folder))
                Assert.IsGreaterThan(0, printed.Length, $"{program.Document}, line {program.Line}, prints nothing");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>A notebook is committed as it is before it runs, so that it holds no data and its changes can be read.</summary>
    [TestMethod]
    public void Notebooks_have_no_outputs()
    {
        string[] notebooks = Files("samples/Notebooks", "*.ipynb");
        Assert.HasCount(2, notebooks);
        foreach (string notebook in notebooks)
            Assert.DoesNotContain("\"output_type\"", File.ReadAllText(Path.Combine(s_repository, notebook)), notebook);
    }

    /// <summary>Headings quote errors; an ellipsis stands for what differs from case to case.</summary>
    [TestMethod]
    public void The_errors_that_troubleshooting_explains_are_thrown()
    {
        string page = File.ReadAllText(Path.Combine(s_repository, "docs", "troubleshooting.md"));
        string folder = Path.Combine(s_repository, "src", "GenerativeML");
        string source = Joined().Replace(
            string.Concat(Directory.GetFiles(folder, "*.cs", SearchOption.AllDirectories).Select(File.ReadAllText)), "");
        string[] errors = [.. QuotedError().Matches(page).Select(heading => heading.Groups[1].Value)];
        Assert.IsGreaterThan(15, errors.Length);
        foreach (string error in errors)
        {
            foreach (string part in error.Split('…', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
                Assert.IsTrue(source.Contains(part, StringComparison.Ordinal), $"'{part}' of '{error}'");
        }
    }

    private static IEnumerable<string> Pages() => ["README.md", .. Files("docs", "*.md")];

    /// <summary>Paths in the repository, with slashes on every system.</summary>
    private static string[] Files(string folder, string pattern) =>
    [
        .. Directory.GetFiles(Path.Combine(s_repository, folder), pattern)
            .Select(path => $"{folder}/{Path.GetFileName(path)}").Order(StringComparer.Ordinal),
    ];

    /// <summary>Where a literal goes on in the next line.</summary>
    [GeneratedRegex("""
        "\s*\+\s*\$?"
        """)]
    private static partial Regex Joined();

    [GeneratedRegex(@"^### `+ ?(.+?) ?`+\r?$", RegexOptions.Multiline)]
    private static partial Regex QuotedError();
}
