using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace GenerativeML.Tests.Packaging;

/// <summary>What users get: the package as it is packed, and the README's first program as they would try it.</summary>
[TestClass]
public sealed partial class PackageTests
{
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
                "Microsoft.Extensions.AI.Abstractions", "Microsoft.Extensions.DependencyInjection.Abstractions",
                "Microsoft.Extensions.Logging.Abstractions", "Microsoft.ML", "Microsoft.ML.ImageAnalytics",
                "Microsoft.ML.OnnxRuntime.Managed", "Microsoft.ML.Tokenizers", "NAudio.Core", "NAudio.Midi", "OxyPlot.Core", "TorchSharp",
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
        string program = CodeBlock.OfPage(s_repository, "README.md").First().Code;
        string folder = Project("First", "csproj", "Program.cs", program, "TorchSharp-cpu", "Microsoft.ML.OnnxRuntime");
        var random = new Random(1);
        WriteRows("readings.csv", ordinary: 2000, broken: 0);
        WriteRows("test.csv", ordinary: 500, broken: 50);

        (int built, string output) = Dotnet(folder, "build", "-c", "Release", "-v", "quiet");
        Assert.AreEqual(0, built, output);
        (int ran, output) = Dotnet(folder, "run", "-c", "Release", "--no-build");
        Assert.AreEqual(0, ran, output);
        Match auroc = Regex.Match(output, @"^AUROC (\S+)\r?\nTrue, by ", RegexOptions.Multiline);
        Assert.IsTrue(auroc.Success, output);
        Assert.IsGreaterThan(0.75, double.Parse(auroc.Groups[1].Value, CultureInfo.CurrentCulture));

        void WriteRows(string name, int ordinary, int broken) => File.WriteAllLines(
            Path.Combine(folder, name),
            [
                "Vibration,Temperature,Current,Broken",
                .. Enumerable.Range(0, ordinary + broken).Select(i =>
                {
                    (double load, bool isBroken) = (random.NextDouble(), i >= ordinary);
                    return string.Create(
                        CultureInfo.InvariantCulture,
                        $"{load + Noise():F4},{(isBroken ? 1 - load : load) + Noise() + 40:F4},{2 * load + Noise():F4},{(isBroken ? 1 : 0)}");
                }),
            ]);

        double Noise() => 0.1 * random.NextDouble();
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

    private static string VersionOf(string package)
    {
        XDocument versions = XDocument.Load(Path.Combine(s_repository, "Directory.Packages.props"));
        string version = versions.Descendants("PackageVersion").Single(p => p.Attribute("Include")!.Value == package)
            .Attribute("Version")!.Value;
        return version == "$(TorchSharpVersion)" ? versions.Descendants("TorchSharpVersion").Single().Value : version;
    }

    private static ZipArchive Open(string extension) =>
        ZipFile.OpenRead(Path.Combine(s_feed, $"GenerativeML.{s_version}.{extension}"));

    /// <summary>The folder of the repository that the tests lie in.</summary>
    internal static string Repository()
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

    [GeneratedRegex(@"^(_rels/|package/|\[Content_Types\])")]
    private static partial Regex OfEveryPackage();
}
