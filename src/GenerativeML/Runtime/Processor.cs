using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML;

/// <summary>What the processor is and can do.</summary>
internal static class Processor
{
    /// <summary>Tiles of bfloat16, as <see cref="InstructionSets"/> names it.</summary>
    public const string AmxBFloat16 = "AMX BF16";

    private const string Description = "/proc/cpuinfo";

    // .NET has no classes for these, and libtorch uses them all the same: Linux tells of them.
    private static readonly (string Flag, string Name)[] OnlyInFlags =
    [
        ("avx512_bf16", "AVX-512 BF16"), ("amx_tile", "AMX"), ("amx_bf16", AmxBFloat16), ("amx_int8", "AMX INT8"),
        ("bf16", "Arm BF16"),
    ];

    /// <summary>Its name, or its architecture where the system does not tell more.</summary>
    public static string Name() =>
        Value("model name") ?? RuntimeInformation.ProcessArchitecture.ToString();

    /// <summary>The instruction sets that matter for speed, widest first within each kind.</summary>
    public static IReadOnlyList<string> InstructionSets()
    {
        (bool Is, string Name)[] known =
        [
            (Avx2.IsSupported, "AVX2"),
            (Fma.IsSupported, "FMA"),
            (Avx512F.IsSupported, "AVX-512F"),
            (Avx512BW.IsSupported, "AVX-512BW"),
            (AvxVnni.IsSupported, "AVX-VNNI"),
            (Avx10v1.IsSupported, "AVX10.1"),
            (Avx10v2.IsSupported, "AVX10.2"),
            (AdvSimd.IsSupported, "AdvSIMD"),
            (Dp.IsSupported, "Arm DP"),
        ];
        string[] flags = (Value("flags") ?? Value("Features") ?? "").Split(' ');
        return
        [
            .. known.Where(k => k.Is).Select(k => k.Name),
            .. OnlyInFlags.Where(f => flags.Contains(f.Flag)).Select(f => f.Name),
        ];
    }

    private static string? Value(string name)
    {
        try
        {
            string? line = File.ReadLines(Description)
                .FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal) && l.Contains(':'));
            return line?[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // another system than Linux
        }
    }
}
