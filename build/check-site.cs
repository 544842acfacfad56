#:property TorchRuntime=none
#:property OnnxRuntime=none
#:property PublishAot=false

// Checks the site that docfx made: each link and anchor inside it leads somewhere, each page can be reached from the first
// one, and so each public type, of which PublicAPI.*.txt says what there are. Links to other sites are not followed.

using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;

string site = Path.GetFullPath(args[0]);
string library = Path.Combine(site, "..", "..", "src", "GenerativeML");
List<string> faults = [];

Dictionary<string, Page> pages = Directory.GetFiles(site, "*.html", SearchOption.AllDirectories)
    .ToDictionary(path => path, path => Page.Read(File.ReadAllText(path)));
Dictionary<string, HashSet<string>> links = [];
foreach ((string path, Page page) in pages)
{
    HashSet<string> found = links[path] = [];
    foreach (string link in page.Links)
    {
        string[] parts = link.Split('#', 2);
        string target = parts[0].Length == 0
            ? path
            : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, Uri.UnescapeDataString(parts[0].Split('?')[0])));
        if (Directory.Exists(target))
            target = Path.Combine(target, "index.html");
        if (!File.Exists(target))
            faults.Add($"{Name(path)}: '{link}' leads nowhere");
        else if (parts.Length == 2 && parts[1].Length > 0 && pages.TryGetValue(target, out Page? other)
            && !other.Anchors.Contains(Uri.UnescapeDataString(parts[1])))
            faults.Add($"{Name(path)}: '{link}' names no place of {Name(target)}");
        found.Add(target);
    }
}

HashSet<string> reached = [];
Queue<string> next = new([Path.Combine(site, "index.html")]);
while (next.TryDequeue(out string? path))
{
    if (!reached.Add(path) || !links.TryGetValue(path, out HashSet<string>? onwards))
        continue;
    foreach (string target in onwards)
        next.Enqueue(target);
}
faults.AddRange(pages.Keys.Where(path => !reached.Contains(path)).Select(path => $"{Name(path)}: no page leads there"));

// What is searched: a page that is not in the index is not found.
using JsonDocument index = JsonDocument.Parse(File.ReadAllText(Path.Combine(site, "index.json")));
string[] types =
[
    .. Directory.GetFiles(library, "PublicAPI.*.txt").SelectMany(File.ReadAllLines)
        .Select(line => Regex.Match(line, @"^(?:GenerativeML|Microsoft\.ML)(?:\.\w+)+(?:<(?<arguments>[\w, ]+)>)?$"))
        .Where(line => line.Success)
        .Select(line => line.Groups["arguments"] is { Success: true, Value: string arguments }
            ? $"{line.Value.Split('<')[0]}-{arguments.Split(',').Length}"
            : line.Value),
];
foreach (string type in types)
{
    string page = Path.Combine(site, "api", $"{type}.html");
    if (!pages.ContainsKey(page) || !reached.Contains(page))
        faults.Add($"{type} is a public type without a page");
    if (!index.RootElement.TryGetProperty($"api/{type}.html", out _))
        faults.Add($"{type} cannot be searched for");
}

foreach (string fault in faults.Order(StringComparer.Ordinal))
    Console.Error.WriteLine($"docs: {fault}");
Console.WriteLine($"{pages.Count} pages, {links.Values.Sum(l => l.Count)} links, {types.Length} public types, {faults.Count} faults");
return faults.Count == 0 && types.Length > 0 ? 0 : 1;

string Name(string path) => Path.GetRelativePath(site, path);

/// <summary>A page's links to other places of the site, and the places that links can name.</summary>
internal sealed partial record Page(string[] Links, HashSet<string> Anchors)
{
    public static Page Read(string html) => new(
        [
            .. LinkIn().Matches(html).Concat(TocIn().Matches(html)).Select(link => WebUtility.HtmlDecode(link.Groups[1].Value))
                .Where(link => link.Length > 0 && !ElsewhereIn().IsMatch(link)).Distinct(),
        ],
        [.. AnchorIn().Matches(html).Select(anchor => WebUtility.HtmlDecode(anchor.Groups[1].Value))]);

    [GeneratedRegex("""\s(?:href|src)="([^"]*)" """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex LinkIn();

    // The contents, which a page's script fetches.
    [GeneratedRegex("""<meta\s+name="docfx:(?:toc|nav)rel"\s+content="([^"]+)" """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex TocIn();

    [GeneratedRegex("""\s(?:id|name)="([^"]+)" """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex AnchorIn();

    [GeneratedRegex("^[a-z]+:|^//")]
    private static partial Regex ElsewhereIn();
}
