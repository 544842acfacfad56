using System.Diagnostics;

namespace GenerativeML.Benchmarks;

/// <summary>The most memory that this process has had in use.</summary>
internal static class ProcessMemory
{
    /// <summary>Peak resident memory in bytes, as the operating system counts it.</summary>
    public static long Peak
    {
        get
        {
            const string status = "/proc/self/status", name = "VmHWM:";
            IEnumerable<string> lines = File.Exists(status) ? File.ReadLines(status) : [];
            string? line = lines.FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal));
            if (line is not null)
                return long.Parse(line[name.Length..].Replace("kB", "", StringComparison.Ordinal).Trim()) * 1024;
            using Process self = Process.GetCurrentProcess();
            return self.PeakWorkingSet64;
        }
    }
}
