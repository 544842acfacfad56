using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>The beginning of a component's entry: what it is, in which version, and what loads it.</summary>
internal readonly record struct ModelHeader(
    ulong ModelSignature, uint VerWritten, uint VerReadable, string LoaderSignature, string LoaderAssemblyName)
{
    private const ulong Magic = 0x4C45444F4D204C4D;
    private const int MaxLoader = 24;

    public static ModelHeader From(VersionInfo ver)
    {
        Contracts.Check(
            null, ver.Loader.Length <= MaxLoader, $"The loader's name '{ver.Loader}' is over {MaxLoader} characters");
        return new(ver.Signature, ver.Written, ver.Readable, ver.Loader, ver.Assembly);
    }

    public static ModelHeader Read(BinaryReader reader, IExceptionContext context)
    {
        try
        {
            context.CheckDecode(reader.ReadUInt64() == Magic, "Not a model header");
            return new(
                reader.ReadUInt64(), reader.ReadUInt32(), reader.ReadUInt32(), reader.ReadString(), reader.ReadString());
        }
        catch (IOException)
        {
            throw context.ExceptDecode("Truncated model header");
        }
    }

    public void Write(BinaryWriter writer)
    {
        writer.Write(Magic);
        writer.Write(ModelSignature);
        writer.Write(VerWritten);
        writer.Write(VerReadable);
        writer.Write(LoaderSignature);
        writer.Write(LoaderAssemblyName);
    }

    public void Check(VersionInfo ver, IExceptionContext context)
    {
        context.CheckDecode(ModelSignature == ver.Signature, "The model is of another kind than its loader");
        context.CheckDecode(VerReadable <= VerWritten, "The header contradicts itself");
        context.CheckDecode(
            VerReadable <= ver.Written,
            $"'{ver.Loader}' is too new: version {VerReadable:x}, readable are those up to {ver.Written:x}");
        context.CheckDecode(
            VerWritten >= ver.Oldest,
            $"'{ver.Loader}' is too old: version {VerWritten:x}, readable are those from {ver.Oldest:x}");
    }
}
