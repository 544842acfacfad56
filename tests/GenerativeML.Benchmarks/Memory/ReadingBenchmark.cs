using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using DataFiles;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>reading</c>: writes a text of a size, opens it as the samples do, types inferred, and goes through three of its seven columns:
/// the process's peak of memory and its processor time. Nothing is trained.
/// </summary>
internal static class ReadingBenchmark
{
    private const int Different = 100_000; // lines, written again and again behind a number of their own

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<double> size = new("--gigabytes")
        {
            Description = "The size of the file, at least 0.1: smaller ones have other types.", DefaultValueFactory = _ => 2,
        };
        size.Validators.Add(result =>
        {
            if (result.GetValue(size) < 0.1)
                result.AddError("A file of 0.1 GB or more has more rows than types are inferred from.");
        });
        Command command = new("reading", "Memory and time for reading a large text.") { size };
        command.SetAction(parsed =>
        {
            string path = Path.Combine(Path.GetTempPath(), $"genml-{Guid.NewGuid():N}.csv");
            try
            {
                Write(path, (long)(parsed.GetValue(size) * (1L << 30)));
                Read(path);
            }
            finally
            {
                File.Delete(path);
            }
        });
        return command;
    }

    private static void Write(string path, long bytes)
    {
        var random = new Random(1);
        string[] states = ["idle", "low", "high", "fault"];
        string[] lines = [.. Enumerable.Range(0, Different).Select(i => string.Create(
            CultureInfo.InvariantCulture,
            $"2024-{1 + i % 12:00}-{1 + i % 28:00} {i % 24:00}:{i % 60:00}:00,{random.NextDouble() * 9:f4},{random.NextDouble() * 90:f3},"
            + $"{random.NextDouble() * 3000:f1},{(i % 97 == 0 ? "NA" : $"{random.NextDouble():f5}")},{states[random.Next(4)]}"))];
        using StreamWriter file = File.CreateText(path);
        file.WriteLine("id,time,pressure,temperature,speed,load,state");
        for (long row = 0, written = 0; written < bytes; row++)
        {
            string line = string.Create(CultureInfo.InvariantCulture, $"{row},{lines[row % Different]}");
            file.WriteLine(line);
            written += line.Length + 1;
        }
    }

    private static void Read(string path)
    {
        TimeSpan before = Environment.CpuUsage.TotalTime;
        TableFile table = TableFile.Open(path);
        DataViewSchema.Column[] read = [table.Schema["pressure"], table.Schema["temperature"], table.Schema["state"]];
        using DataViewRowCursor cursor = table.GetRowCursor(read);
        ValueGetter<double>[] numbers = [cursor.GetGetter<double>(read[0]), cursor.GetGetter<double>(read[1])];
        ValueGetter<ReadOnlyMemory<char>> state = cursor.GetGetter<ReadOnlyMemory<char>>(read[2]);
        long rows = 0, idle = 0;
        double sum = 0, value = 0;
        ReadOnlyMemory<char> text = default;
        for (; cursor.MoveNext(); rows++)
        {
            foreach (ValueGetter<double> number in numbers)
            {
                number(ref value);
                sum += value;
            }
            state(ref text);
            idle += text.Span is "idle" ? 1 : 0;
        }
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{new FileInfo(path).Length:n0} bytes, {rows:n0} rows, of which {idle:n0} idle, mean {sum / rows / 2:f3}: peak "
            + $"{ProcessMemory.Peak >> 20} MB, {(Environment.CpuUsage.TotalTime - before).TotalSeconds:f1} s of processor time"));
    }
}
