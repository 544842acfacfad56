using System.Diagnostics;
using System.IO.Compression;
using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace GenerativeML.Tests.Packaging;

/// <summary>What users get: the package as it is packed, and the README's first program as they would try it.</summary>
[TestClass]
public sealed partial class PackageTests
{
    /// <summary>What stands around the README's first program: where it lies, and the rows that it reads.</summary>
    private const string Before =
        """
        using GenerativeML;
        using Microsoft.ML;
        using Microsoft.ML.Data;

        string[] sensors = ["Vibration", "Temperature", "Current"];
        IDataView readings = Rows(2000, 0), test = Rows(500, 50);

        static IDataView Rows(int normal, int strange)
        {
            Random random = new(1);
            return new MLContext().Data.LoadFromEnumerable(Enumerable.Range(0, normal + strange).Select(i =>
            {
                float load = random.NextSingle();
                return new Reading
                {
                    Vibration = load + 0.1f * random.NextSingle(),
                    Temperature = (i < normal ? load : 1 - load) + 0.1f * random.NextSingle() + 40,
                    Current = 2 * load + 0.1f * random.NextSingle(),
                    Label = i < normal ? 0 : 1,
                };
            }).ToArray());
        }

        """;

    /// <summary>It leaves metrics and a saved model, which a context that knows nothing of it can load.</summary>
    private const string After =
        """

        ITransformer again = new MLContext().Model.Load("detector.zip", out DataViewSchema saved);
        int rows = again.Transform(test).GetColumn<float>("Score").Count(float.IsFinite);
        bool good = metrics.AreaUnderRocCurve > 0.75 && rows == 550 && saved.Count > 0;
        Console.WriteLine($"AUROC {metrics.AreaUnderRocCurve:F3}, {rows} rows scored again");
        return good ? 0 : 1;

        sealed class Reading
        {
            public float Vibration { get; set; }
            public float Temperature { get; set; }
            public float Current { get; set; }
            public float Label { get; set; }
        }
        """;

    private static readonly string s_repository = Repository();
    private static readonly string s_version = $"0.0.0-test.{DateTime.UtcNow:yyyyMMddHHmmss}.p{Environment.ProcessId}";
    private static readonly string s_folder = Path.Combine(Path.GetTempPath(), $"GenerativeML {s_version}");
    private static readonly string s_feed = Path.Combine(s_folder, "feed");

    [ClassInitialize]
    public static void Pack(TestContext _)
    {
        Directory.CreateDirectory(s_feed);
        var built = typeof(PackageTests).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!;
        (int code, string output) = Dotnet(
            s_repository, "pack", "src/GenerativeML", "--no-build", "-c", built.Configuration, "-o", s_feed,
            $"-p:Version={s_version}");
        Assert.AreEqual(0, code, output);
        Assert.DoesNotContain("warning", output);
    }

    /// <summary>Also takes the package out of NuGet's own folder, where every run would leave one.</summary>
    [ClassCleanup]
    public static void Delete()
    {
        Directory.Delete(s_folder, recursive: true);
        string packages = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        string installed = Path.Combine(packages, "generativeml", s_version);
        if (Directory.Exists(installed))
            Directory.Delete(installed, recursive: true);
    }

    [TestMethod]
    public void There_is_one_package_with_its_symbols() => CollectionAssert.AreEquivalent(
        new[] { $"GenerativeML.{s_version}.nupkg", $"GenerativeML.{s_version}.snupkg" },
        Directory.GetFiles(s_feed).Select(Path.GetFileName).ToArray());

    [TestMethod]
    public void The_package_holds_one_assembly_and_what_describes_it()
    {
        CollectionAssert.AreEquivalent(
            new[]
            {
                "GenerativeML.nuspec", "LICENSE", "README.md", "icon.png",
                "lib/net10.0/GenerativeML.dll", "lib/net10.0/GenerativeML.xml",
            },
            Files("nupkg"));
        CollectionAssert.AreEquivalent(
            new[] { "GenerativeML.nuspec", "lib/net10.0/GenerativeML.pdb" }, Files("snupkg"));

        static string[] Files(string extension)
        {
            using ZipArchive zip = Open(extension);
            return [.. zip.Entries.Select(e => e.FullName).Where(name => !OfEveryPackage().IsMatch(name))];
        }
    }

    [TestMethod]
    public void The_package_depends_on_what_the_library_calls_and_on_no_native_part()
    {
        using ZipArchive zip = Open("nupkg");
        using Stream stream = zip.GetEntry("GenerativeML.nuspec")!.Open();
        XElement metadata = XDocument.Load(stream).Root!.Elements().Single();
        XElement[] dependencies = [.. metadata.Descendants().Where(e => e.Name.LocalName == "dependency")];
        CollectionAssert.AreEquivalent(
            new[]
            {
                "Microsoft.ML", "Microsoft.ML.ImageAnalytics", "Microsoft.ML.OnnxRuntime.Managed",
                "Microsoft.ML.Tokenizers", "TorchSharp",
            },
            dependencies.Select(d => d.Attribute("id")!.Value).ToArray());
        foreach (XElement dependency in dependencies)
            Assert.AreEqual(VersionOf(dependency.Attribute("id")!.Value), dependency.Attribute("version")!.Value);
        Dictionary<string, string> told = metadata.Elements().ToDictionary(e => e.Name.LocalName, e => e.Value);
        Assert.AreEqual("MIT", told["license"]);
        Assert.AreEqual("README.md", told["readme"]);
        Assert.AreEqual("icon.png", told["icon"]);
    }

    [TestMethod]
    public void Saved_models_can_be_read_by_every_release() =>
        Assert.AreEqual(new Version(1, 0, 0, 0), typeof(ComputeDevice).Assembly.GetName().Version);

    [TestMethod]
    [Timeout(180_000)]
    public void The_first_program_of_the_README_runs_from_the_package()
    {
        (string usings, string program) = FirstProgram();
        string folder = Project("First", "csproj", "Program.cs", usings + Before + program + After, "TorchSharp-cpu", "Microsoft.ML.OnnxRuntime");
        (int built, string output) = Dotnet(folder, "build", "-c", "Release", "-v", "quiet");
        Assert.AreEqual(0, built,
            "The README's first program does not compile. This test gives it 'readings' and 'test', tables of " +
            "the columns Vibration, Temperature, Current and Label, and wants 'metrics' and detector.zip of it:\n" +
            $"{program}\n{output}");
        (int ran, output) = Dotnet(folder, "run", "-c", "Release", "--no-build");
        Assert.AreEqual(0, ran, $"The README's first program:\n{program}\n{output}");
        Assert.Contains("550 rows scored again", output);
    }

    [TestMethod]
    [Timeout(180_000)]
    [DataRow("fsproj", "Program.fs", """
        open Microsoft.ML
        open GenerativeML
        let ml = MLContext(1)
        let options = TabularVaeOptions(Epochs = 3)
        let trainer = GenerativeCatalog.Of(ml).TabularVae(options)
        let detector = ml.AnomalyDetection.Trainers.Autoencoder(AutoencoderOptions(Epochs = 2))
        printfn "%s %s" (trainer.GetType().Name) (detector.GetType().Name)
        """)]
    [DataRow("vbproj", "Program.vb", """
        Imports GenerativeML
        Imports Microsoft.ML
        Module Program
            Sub Main()
                Dim ml As New MLContext(1)
                Dim trainer = GenerativeCatalog.Of(ml).TabularVae(New TabularVaeOptions With {.Epochs = 3})
                Dim detector = ml.AnomalyDetection.Trainers.Autoencoder(New AutoencoderOptions With {.Epochs = 2})
                System.Console.WriteLine(trainer.GetType().Name & " " & detector.GetType().Name)
            End Sub
        End Module
        """)]
    public void Other_languages_find_the_catalog(string kind, string file, string program)
    {
        string folder = Project(kind, kind, file, program);
        (int ran, string output) = Dotnet(folder, "run", "-c", "Release", "-v", "quiet");
        Assert.AreEqual(0, ran, output);
        Assert.Contains("TabularVaeTrainer AutoencoderTrainer", output);
    }

    /// <summary>A console project outside the repository that has the package.</summary>
    private static string Project(string name, string kind, string file, string program, params string[] packages)
    {
        string folder = Directory.CreateDirectory(Path.Combine(s_folder, name)).FullName;
        File.WriteAllText(Path.Combine(folder, file), program);
        File.WriteAllText(Path.Combine(folder, "nuget.config"), $"""
            <configuration><packageSources><add key="packed" value="{s_feed}" /></packageSources></configuration>
            """);
        IEnumerable<string> references = packages.Select(
            package => $"""<PackageReference Include="{package}" Version="{VersionOf(package)}" />""");
        File.WriteAllText(Path.Combine(folder, $"{name}.{kind}"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <Nullable>enable</Nullable>
              </PropertyGroup>
              <ItemGroup>
                {(kind == "fsproj" ? $"""<Compile Include="{file}" />""" : "")}
                <PackageReference Include="GenerativeML" Version="{s_version}" />
                {string.Join('\n', references)}
              </ItemGroup>
            </Project>
            """);
        return folder;
    }

    /// <summary>The first C# of the README, with its using directives apart, as they must come first.</summary>
    private static (string Usings, string Program) FirstProgram()
    {
        Match block = FirstBlock().Match(File.ReadAllText(Path.Combine(s_repository, "README.md")));
        Assert.IsTrue(block.Success, "README.md has no code between a line ```csharp and a line ```.");
        ILookup<bool, string> lines = block.Groups[1].Value.ReplaceLineEndings("\n").Split('\n')
            .ToLookup(line => UsingDirective().IsMatch(line));
        return (string.Concat(lines[true].Select(line => line + "\n")), string.Join('\n', lines[false]));
    }

    private static string VersionOf(string package)
    {
        XDocument versions = XDocument.Load(Path.Combine(s_repository, "Directory.Packages.props"));
        string version = versions.Descendants("PackageVersion").Single(p => p.Attribute("Include")!.Value == package)
            .Attribute("Version")!.Value;
        return version == "$(TorchSharpVersion)" ? versions.Descendants("TorchSharpVersion").Single().Value : version;
    }

    private static ZipArchive Open(string extension) =>
        ZipFile.OpenRead(Path.Combine(s_feed, $"GenerativeML.{s_version}.{extension}"));

    private static string Repository()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "Directory.Packages.props")))
            folder = Path.GetDirectoryName(folder);
        return folder ?? throw new InvalidOperationException("The tests do not lie in the repository.");
    }

    /// <summary>
    /// Runs the SDK without what the test's own run has set, and without servers that would outlive it and keep its
    /// output open.
    /// </summary>
    private static (int Code, string Output) Dotnet(string folder, params string[] arguments)
    {
        string host = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";
        var start = new ProcessStartInfo(host, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        bool IsOfMSBuild(string name) => name.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase);
        foreach (string name in start.Environment.Keys.Where(IsOfMSBuild).ToArray())
            start.Environment.Remove(name);
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0";
        start.Environment["UseSharedCompilation"] = "false";
        start.Environment["DOTNET_CLI_UI_LANGUAGE"] = "en";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.Result);
    }

    [GeneratedRegex(@"^```csharp[ \t]*\r?\n(.*?)^```[ \t]*\r?$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex FirstBlock();

    [GeneratedRegex(@"^using (static )?[\w.]+;")]
    private static partial Regex UsingDirective();

    [GeneratedRegex(@"^(_rels/|package/|\[Content_Types\])")]
    private static partial Regex OfEveryPackage();
}
