using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>How a component marks what it saves, and which assembly and name load it again.</summary>
internal readonly struct VersionInfo
{
    public readonly ulong ModelSignature;
    public readonly uint VerWrittenCur;
    public readonly uint VerReadableCur;
    public readonly uint VerWeCanReadBack;
    public readonly string LoaderAssemblyName;
    public readonly string LoaderSignature;
    public readonly string LoaderSignatureAlt;

    public VersionInfo(
        string modelSignature,
        uint verWrittenCur,
        uint verReadableCur,
        uint verWeCanReadBack,
        string loaderAssemblyName,
        string loaderSignature = null,
        string loaderSignatureAlt = null)
    {
        Contracts.Check(null, modelSignature?.Length == 8, $"The signature '{modelSignature}' has not eight letters");
        foreach (char letter in modelSignature.Reverse())
        {
            Contracts.Check(null, letter <= 0xFF, $"The signature '{modelSignature}' has letters beyond Latin-1");
            ModelSignature = (ModelSignature << 8) | (letter == ' ' ? 0u : letter);
        }

        VerWrittenCur = verWrittenCur;
        VerReadableCur = verReadableCur;
        VerWeCanReadBack = verWeCanReadBack;
        LoaderAssemblyName = loaderAssemblyName;
        LoaderSignature = loaderSignature;
        LoaderSignatureAlt = loaderSignatureAlt;
    }
}
