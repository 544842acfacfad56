namespace GenerativeML.Tests;

/// <summary>Public data that tests read and the repository does not hold.</summary>
internal static class TestData
{
    /// <summary>
    /// A file of the folder that <c>GENERATIVEML_DATA</c> names, or else of <c>shared/data</c> beside the repository;
    /// the test is inconclusive where there is none.
    /// </summary>
    public static string Find(string name)
    {
        string path = Path.Combine(
            Environment.GetEnvironmentVariable("GENERATIVEML_DATA") ?? BesideTheRepository(), name);
        if (!File.Exists(path))
            Assert.Inconclusive($"'{path}' is not there. Set GENERATIVEML_DATA to a folder that holds '{name}'.");
        return path;
    }

    private static string BesideTheRepository()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "GenerativeML.sln")))
            folder = Path.GetDirectoryName(folder);
        return Path.Combine(folder ?? ".", "..", "shared", "data");
    }
}
