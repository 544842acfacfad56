namespace DataFiles;

/// <summary>The pictures of a folder.</summary>
internal static class PictureFiles
{
    private static readonly string[] s_endings = [".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"];

    /// <summary>All of them, in folders within it, too, by name.</summary>
    public static IEnumerable<string> In(string folder) =>
        Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Where(file => s_endings.Contains(Path.GetExtension(file).ToLowerInvariant()));
}
