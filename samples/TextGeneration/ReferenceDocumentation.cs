using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using System.Xml;

namespace TextGeneration;

/// <summary>
/// English that every machine with the .NET SDK has: what the XML documentation files of its reference assemblies say
/// of each type and member.
/// </summary>
internal static partial class ReferenceDocumentation
{
    /// <summary>All summaries, each once, in an order that <paramref name="seed"/> decides.</summary>
    /// <exception cref="InvalidDataException">There are no such files.</exception>
    public static string[] Read(int seed)
    {
        string packs = Path.GetFullPath(
            Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "packs"));
        string[] files = Directory.Exists(packs)
            ? [.. Directory.EnumerateFiles(packs, "*.xml", SearchOption.AllDirectories)
                .Where(file => file.Contains($"{Path.DirectorySeparatorChar}ref{Path.DirectorySeparatorChar}"))
                // Names of processor instructions are no English.
                .Where(file => Path.GetFileName(file) != "System.Runtime.Intrinsics.xml")
                .Order(StringComparer.Ordinal)]
            : [];
        var summaries = new HashSet<string>(StringComparer.Ordinal);
        foreach (string file in files)
            summaries.UnionWith(Summaries(file));
        if (summaries.Count == 0)
            throw new InvalidDataException(
                $"There are no documentation files of reference assemblies in '{packs}': give a text with --corpus.");
        string[] shuffled = [.. summaries];
        new Random(seed).Shuffle(shuffled);
        return shuffled;
    }

    /// <summary>The summaries of a documentation file, on one line each.</summary>
    public static IEnumerable<string> Summaries(string file)
    {
        using var reader = XmlReader.Create(file);
        while (reader.ReadToFollowing("summary"))
        {
            using XmlReader summary = reader.ReadSubtree();
            string text = Spaces().Replace(string.Concat(Pieces(summary)), " ").Trim();
            if (text.Length > 0)
                yield return text;
        }
    }

    private static IEnumerable<string> Pieces(XmlReader summary)
    {
        while (summary.Read())
        {
            if (summary.NodeType is XmlNodeType.Text or XmlNodeType.Whitespace or XmlNodeType.SignificantWhitespace)
                yield return summary.Value;
            else if (summary is { NodeType: XmlNodeType.Element, IsEmptyElement: true })
                yield return Reference(summary);
        }
    }

    // "M:System.String.Trim(System.Char)" is called Trim in a text; so are "paramref" and "langword" by their names.
    private static string Reference(XmlReader element)
    {
        string? name = element.GetAttribute("langword") ?? element.GetAttribute("name");
        if (name is not null)
            return name;
        string member = (element.GetAttribute("cref") ?? "").Split('(')[0];
        return member[(member.LastIndexOfAny([':', '.']) + 1)..].Split('`')[0];
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
