using System.Collections.Immutable;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using TorchSharp;

namespace GenerativeML.Tests.Engines;

/// <summary>
/// TorchSharp makes a Scalar of each number that is handed to it, and nothing keeps it alive during the native call:
/// see <see cref="TorchArithmetic"/>, through which all numbers go.
/// </summary>
[TestClass]
public sealed class ScalarTests
{
    // These keep their Scalars alive themselves, one for many steps or by a using, to hand them to compiled scripts;
    // Recurrence hands over none.
    private static readonly string[] KeepTheirOwn =
        ["TorchArithmetic.cs", "FlatOptimizer.cs", "UpdateScripts.cs", "ITrainable.cs", "Recurrence.cs"];

    [TestMethod]
    public void Numbers_reach_torch_through_the_engine_alone()
    {
        HashSet<string> unsafeMethods = UnsafeMethods();
        Assert.Contains("Tensor.add(Tensor)", unsafeMethods);
        Assert.Contains("Tensor.square()", unsafeMethods);
        Assert.DoesNotContain("Tensor.mul(Tensor)", unsafeMethods);

        List<string> violations = [];
        foreach ((string caller, string source, string called) in Calls(typeof(InferenceCache).Assembly.Location))
        {
            if (unsafeMethods.Contains(called) && !KeepTheirOwn.Contains(Path.GetFileName(source)))
                violations.Add($"{caller} calls {called}");
        }
        Assert.IsEmpty(violations, string.Join('\n', violations));
    }

    // The conversions, and TorchSharp's own methods that use them, directly or by another.
    private static HashSet<string> UnsafeMethods()
    {
        List<(string Caller, string, string Called)> calls = [.. Calls(typeof(torch).Assembly.Location)];
        HashSet<string> found = [.. calls.Select(c => c.Called).Where(c =>
            c.StartsWith("Scalar.op_Implicit", StringComparison.Ordinal)
            || c.StartsWith("ScalarExtensionMethods.To", StringComparison.Ordinal) && c.Contains("Scalar("))];
        for (int before = 0; before != found.Count;)
        {
            before = found.Count;
            found.UnionWith(calls.Where(c => found.Contains(c.Called)).Select(c => c.Caller));
        }
        return found;
    }

    // Each call in an assembly, as Type.Method(types of parameters), and the caller's source file where that is known.
    private static IEnumerable<(string Caller, string Source, string Called)> Calls(string path)
    {
        Dictionary<ushort, OperandType> operands = typeof(OpCodes).GetFields()
            .Select(f => (OpCode)f.GetValue(null)!).ToDictionary(o => (ushort)o.Value, o => o.OperandType);
        using var file = new PEReader(File.OpenRead(path));
        using MetadataReaderProvider? symbols = File.Exists(Path.ChangeExtension(path, "pdb"))
            ? MetadataReaderProvider.FromPortablePdbStream(File.OpenRead(Path.ChangeExtension(path, "pdb")))
            : null;
        MetadataReader metadata = file.GetMetadataReader();
        var names = new Names(metadata);
        foreach (MethodDefinitionHandle handle in metadata.MethodDefinitions)
        {
            int address = metadata.GetMethodDefinition(handle).RelativeVirtualAddress;
            if (address == 0)
                continue;
            string caller = names.Of(handle), source = Source(symbols?.GetMetadataReader(), handle);
            BlobReader code = file.GetMethodBody(address).GetILReader();
            while (code.RemainingBytes > 0)
            {
                ushort op = code.ReadByte();
                switch (operands[op == 0xFE ? (ushort)(op << 8 | code.ReadByte()) : op])
                {
                    case OperandType.InlineMethod:
                        yield return (caller, source, names.Of(MetadataTokens.EntityHandle(code.ReadInt32())));
                        break;
                    case OperandType.InlineSwitch:
                        int cases = code.ReadInt32();
                        code.Offset += 4 * cases;
                        break;
                    case OperandType.InlineNone:
                        break;
                    case OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar:
                        code.Offset++;
                        break;
                    case OperandType.InlineVar:
                        code.Offset += 2;
                        break;
                    case OperandType.InlineI8 or OperandType.InlineR:
                        code.Offset += 8;
                        break;
                    default:
                        code.Offset += 4;
                        break;
                }
            }
        }
    }

    private static string Source(MetadataReader? symbols, MethodDefinitionHandle method)
    {
        if (symbols is null)
            return "";
        DocumentHandle document = symbols.GetMethodDebugInformation(method.ToDebugInformationHandle()).Document;
        return document.IsNil ? "" : symbols.GetString(symbols.GetDocument(document).Name).Replace('\\', '/');
    }

    // Names with the types of parameters, since overloads differ in nothing else.
    private sealed class Names(MetadataReader metadata) : ISignatureTypeProvider<string, object?>
    {
        public string Of(EntityHandle handle) => handle.Kind switch
        {
            HandleKind.MethodDefinition => Of(metadata.GetMethodDefinition((MethodDefinitionHandle)handle)),
            HandleKind.MemberReference => Of(metadata.GetMemberReference((MemberReferenceHandle)handle)),
            _ => Of(metadata.GetMethodSpecification((MethodSpecificationHandle)handle).Method),
        };

        public string GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte kind) =>
            reader.GetString(reader.GetTypeDefinition(handle).Name);

        public string GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte kind) =>
            reader.GetString(reader.GetTypeReference(handle).Name);

        public string GetTypeFromSpecification(
            MetadataReader reader, object? context, TypeSpecificationHandle handle, byte kind) =>
            reader.GetTypeSpecification(handle).DecodeSignature(this, context);

        public string GetPrimitiveType(PrimitiveTypeCode code) => code.ToString();
        public string GetSZArrayType(string element) => element + "[]";
        public string GetArrayType(string element, ArrayShape shape) => element + "[,]";
        public string GetByReferenceType(string element) => element + "&";
        public string GetPointerType(string element) => element + "*";
        public string GetPinnedType(string element) => element;
        public string GetModifiedType(string modifier, string unmodified, bool required) => unmodified;
        public string GetGenericInstantiation(string type, ImmutableArray<string> arguments) => type;
        public string GetGenericMethodParameter(object? context, int index) => "T";
        public string GetGenericTypeParameter(object? context, int index) => "T";
        public string GetFunctionPointerType(MethodSignature<string> signature) => "*";

        private string Of(MethodDefinition method) => Of(
            GetTypeFromDefinition(metadata, method.GetDeclaringType(), 0), method.Name,
            method.DecodeSignature(this, null));

        private string Of(MemberReference member) => Of(
            member.Parent.Kind switch
            {
                HandleKind.TypeReference => GetTypeFromReference(metadata, (TypeReferenceHandle)member.Parent, 0),
                HandleKind.TypeDefinition => GetTypeFromDefinition(metadata, (TypeDefinitionHandle)member.Parent, 0),
                HandleKind.TypeSpecification =>
                    GetTypeFromSpecification(metadata, null, (TypeSpecificationHandle)member.Parent, 0),
                _ => "",
            }, member.Name, member.DecodeMethodSignature(this, null));

        private string Of(string type, StringHandle name, MethodSignature<string> signature) =>
            $"{type}.{metadata.GetString(name)}({string.Join(",", signature.ParameterTypes)})";
    }
}
