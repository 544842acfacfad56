using System.Diagnostics;
using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML.TestWorker;

/// <summary>By how many megabytes a process grows that computes and frees the same tensors again and again.</summary>
internal static partial class Allocation
{
    private const int MmapThreshold = -3;

    /// <summary>
    /// Writes the growth: with Scalars that are "kept", as those are that nobody disposes until they are collected,
    /// with Scalars that are "disposed", or with kept ones after "mallopt" has ended glibc's own adjusting of limits.
    /// </summary>
    public static void Run(string how)
    {
        if (how == "mallopt" && SetOption(MmapThreshold, 512 * 1024) == 0)
            throw new InvalidOperationException("glibc refused the option.");
        var kept = new List<Scalar>();
        using torch.Tensor megabyte = torch.ones(1 << 18);
        long before = 0;
        for (int round = 0; round <= 40; round++)
        {
            if (round == 1)
                before = Resident();
            var scalars = new List<Scalar>();
            var tensors = new List<torch.Tensor>();
            for (int i = 0; i < 20; i++)
            {
                scalars.Add(2f.ToScalar());
                tensors.Add(megabyte.mul(scalars[i]));
            }
            tensors.ForEach(tensor => tensor.Dispose());
            if (how == "disposed")
                scalars.ForEach(scalar => scalar.Dispose());
            else
                kept.AddRange(scalars);
        }
        Console.WriteLine((Resident() - before) >> 20);
        kept.ForEach(scalar => scalar.Dispose());
    }

    private static long Resident()
    {
        using var self = Process.GetCurrentProcess();
        return self.WorkingSet64;
    }

    [LibraryImport("libc.so.6", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);
}
