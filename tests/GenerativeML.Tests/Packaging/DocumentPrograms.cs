using System.Globalization;
using System.Reflection;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace GenerativeML.Tests.Packaging;

/// <summary>The C# of all documents as one assembly: a class for each page, and one for each whole program.</summary>
internal sealed class DocumentPrograms
{
    /// <summary>What blocks may name without making it; what they declare themselves hides it.</summary>
    private const string Given =
        """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Threading;
        global using System.Threading.Tasks;
        using GenerativeML;
        using Microsoft.ML;
        using Microsoft.ML.Data;

        abstract class Given
        {
            protected static string[] args = [];
            protected static MLContext ml = new(1);
            protected static IDataView adult, drawings, images, pairs, pieces, readings, series, sounds, test, texts;
            protected static ITransformer loaded, model;
            protected static GptTransformer gpt;
            protected static VectorGenerator vae;
            protected static Microsoft.Extensions.DependencyInjection.IServiceCollection services;
            protected static IServiceProvider provider;

            // What a notebook's kernel offers.
            protected static object HTML(string text) => text;
            protected static void display(object value) => Console.WriteLine(value);
        }
        """;

    private static readonly CSharpParseOptions s_language = new(LanguageVersion.CSharp14);

    private readonly List<(CodeBlock Block, string Type)> _programs = [];
    private readonly CSharpCompilation _compilation;

    /// <summary>Compiles nothing yet.</summary>
    public DocumentPrograms(IEnumerable<CodeBlock> blocks)
    {
        List<SyntaxTree> trees = [CSharpSyntaxTree.ParseText(Given, s_language)];
        foreach (CodeBlock[] together in Together([.. blocks]))
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"Document{trees.Count}");
            trees.Add(CSharpSyntaxTree.ParseText(Class(name, together), s_language));
            if (together[0].IsProgram)
                _programs.Add((together[0], $"{name}.Page"));
        }
        IEnumerable<string> assemblies = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!)
            .Split(Path.PathSeparator)
            .Where(path => !Path.GetFileName(path).StartsWith("GenerativeML.Tests", StringComparison.Ordinal));
        _compilation = CSharpCompilation.Create(
            "Documents",
            trees,
            assemblies.Select(path => MetadataReference.CreateFromFile(path)),
            new(Microsoft.CodeAnalysis.OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Annotations));
    }

    /// <summary>The whole programs among the blocks.</summary>
    public IEnumerable<CodeBlock> Programs => _programs.Select(program => program.Block);

    /// <summary>What the compiler refuses, each with the document and its line.</summary>
    public IReadOnlyList<string> Errors() =>
    [
        .. _compilation.GetDiagnostics().Where(d => d.Severity == DiagnosticSeverity.Error).Select(d => d.ToString()),
    ];

    /// <summary>Runs the whole programs, each in a folder of its own, and gives what they print.</summary>
    public IReadOnlyDictionary<CodeBlock, string> Run(string folder)
    {
        using var image = new MemoryStream();
        _compilation.Emit(image);
        Assembly assembly = Assembly.Load(image.ToArray());
        (string before, TextWriter console) = (Directory.GetCurrentDirectory(), Console.Out);
        Dictionary<CodeBlock, string> printed = [];
        try
        {
            foreach ((CodeBlock block, string type) in _programs)
            {
                Directory.SetCurrentDirectory(Directory.CreateDirectory(Path.Combine(folder, type)).FullName);
                using var written = new StringWriter();
                Console.SetOut(written);
                ((Task)assembly.GetType(type)!.GetMethod("Run")!.Invoke(null, [])!).GetAwaiter().GetResult();
                printed.Add(block, written.ToString());
            }
        }
        finally
        {
            Console.SetOut(console);
            Directory.SetCurrentDirectory(before);
        }
        return printed;
    }

    /// <summary>Programs by themselves, and what is left of a document in one piece.</summary>
    private static IEnumerable<CodeBlock[]> Together(CodeBlock[] blocks) =>
    [
        .. blocks.Where(block => block.IsProgram).Select(block => new[] { block }),
        .. blocks.Where(block => !block.IsProgram).GroupBy(block => block.Document).Select(page => page.ToArray()),
    ];

    /// <summary>Statements go into a method, types beside its class, and what is imported above both.</summary>
    private static string Class(string name, CodeBlock[] blocks)
    {
        HashSet<string> imports = [];
        StringBuilder statements = new(), types = new();
        foreach (CodeBlock block in blocks)
        {
            CompilationUnitSyntax root = CSharpSyntaxTree.ParseText(block.Code, s_language).GetCompilationUnitRoot();
            imports.UnionWith(root.Usings.Select(import => import.ToString()));
            foreach (MemberDeclarationSyntax member in root.Members)
            {
                int line = block.Line + member.SyntaxTree.GetLineSpan(member.FullSpan).StartLinePosition.Line;
                (member is GlobalStatementSyntax ? statements : types)
                    .AppendLine(CultureInfo.InvariantCulture, $"#line {line} \"{block.Document}\"")
                    .AppendLine(member.ToFullString());
            }
        }
        return $$"""
            namespace {{name}};
            {{string.Join('\n', imports)}}
            class Page : Given
            {
                public static async Task Run()
                {
            {{statements}}
                }
            }
            {{types}}
            """;
    }
}
