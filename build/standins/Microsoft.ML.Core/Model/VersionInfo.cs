using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>How a component marks what it saves, and which assembly and name load it again.</summary>
internal readonly struct VersionInfo(
    string modelSignature,
    uint verWrittenCur,
    uint verReadableCur,
    uint verWeCanReadBack,
    string loaderAssemblyName,
    string loaderSignature = null,
    string loaderSignatureAlt = null)
{
    public ulong Signature { get; } = Pack(modelSignature);

    public uint Written => verWrittenCur;

    public uint Readable => verReadableCur;

    public uint Oldest => verWeCanReadBack;

    public string Assembly => loaderAssemblyName ?? "";

    public string Loader => loaderSignature ?? loaderSignatureAlt ?? "";

    /// <summary>Eight letters as one number, a space counting as nothing.</summary>
    private static ulong Pack(string letters)
    {
        Contracts.Check(null, letters?.Length == 8, $"The signature '{letters}' has not eight letters");
        ulong packed = 0;
        foreach (char letter in letters.Reverse())
        {
            Contracts.Check(null, letter <= 0xFF, $"The signature '{letters}' has letters beyond Latin-1");
            packed = (packed << 8) | (letter == ' ' ? 0u : letter);
        }

        return packed;
    }
}
