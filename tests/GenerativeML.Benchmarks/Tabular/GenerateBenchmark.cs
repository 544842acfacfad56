using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>generate</c>: how many rows of a ten-column table a second are generated and read, and whether each row of very
/// many meets its conditions.
/// </summary>
internal static class GenerateBenchmark
{
    private const int TrainingRows = 20_000;

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<long> rows = new("--rows") { Description = "Rows to generate.", DefaultValueFactory = _ => 1_000_000 };
        Option<string> method = new("--method") { Description = "What generates.", DefaultValueFactory = _ => "vae" };
        method.AcceptOnlyFromAmong(TabularBenchmark.Methods);
        Option<int> cursors = new("--cursors")
        {
            Description = "Cursors that read at once, each on a thread of its own.",
            DefaultValueFactory = _ => Environment.ProcessorCount,
        };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("generate", "Generated rows a second, and rows under exact conditions.")
        {
            rows, method, cursors, json,
        };
        command.SetAction(parsed => Run(
            parsed.GetValue(rows),
            parsed.GetValue(method)!,
            Math.Max(1, parsed.GetValue(cursors)),
            parsed.GetValue(json)));
        return command;
    }

    private static int Run(long rows, string method, int cursors, FileInfo? json)
    {
        MLContext ml = new(1);
        IDataView training = ml.Data.LoadFromEnumerable(Readings());
        using TabularTransformer generator = TabularBenchmark.Trainer(ml, method, label: null, epochs: 5).Fit(training);
        Read(generator.Generate(20_000, seed: 1), cursors, _ => { }); // warm-up

        // On a machine that is shared, the processor's time says more than the clock's.
        TimeSpan before = Environment.CpuUsage.TotalTime;
        var clock = Stopwatch.StartNew();
        long read = Read(generator.Generate(rows, seed: 2), cursors, _ => { });
        double free = read / clock.Elapsed.TotalSeconds;
        double each = (Environment.CpuUsage.TotalTime - before).TotalMicroseconds / read;
        Console.WriteLine(
            $"{read:N0} rows of 10 columns, {cursors} cursors: {free:N0} rows/s, {each:F1} µs of processor time each");

        RowCondition where = new RowCondition().Equal("Site", "north").Equal("Kind", "b").Between("Level", 1, 4);
        long wrong = 0;
        clock.Restart();
        long met = Read(generator.Generate(rows, seed: 3, where), cursors, row =>
        {
            if (row.Site != "north" || row.Kind != "b" || row.Level is not (>= 1 and <= 4))
                Interlocked.Increment(ref wrong);
        });
        double conditional = met / clock.Elapsed.TotalSeconds;
        Console.WriteLine($"{met:N0} rows where {where}: {wrong:N0} do not meet it; {conditional:N0} rows/s");
        if (json is not null)
        {
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(
                new
                {
                    Method = method,
                    Cursors = cursors,
                    Rows = read,
                    RowsPerSecond = free,
                    ProcessorMicrosecondsPerRow = each,
                    ConditionalRows = met,
                    ConditionalRowsPerSecond = conditional,
                    Wrong = wrong,
                },
                JsonSerializerOptions.Web) + "\n");
        }
        return wrong == 0 && met == rows && read == rows ? 0 : 1;
    }

    /// <summary>Reads all columns of all rows, and gives their number.</summary>
    private static long Read(IDataView data, int cursors, Action<Seen> look)
    {
        long rows = 0;
        DataViewRowCursor[] set = data.GetRowCursorSet(data.Schema, cursors);
        Parallel.ForEach(set, new ParallelOptions { MaxDegreeOfParallelism = cursors }, cursor =>
        {
            using (cursor)
                Interlocked.Add(ref rows, Read(cursor, look));
        });
        return rows;
    }

    private static long Read(DataViewRowCursor cursor, Action<Seen> look)
    {
        ValueGetter<float>[] numbers = [.. Columns<float>(cursor, NumberDataViewType.Single)];
        ValueGetter<int>[] wholes = [.. Columns<int>(cursor, NumberDataViewType.Int32)];
        ValueGetter<ReadOnlyMemory<char>>[] texts =
            [.. Columns<ReadOnlyMemory<char>>(cursor, TextDataViewType.Instance)];
        ValueGetter<ReadOnlyMemory<char>> site = cursor.GetGetter<ReadOnlyMemory<char>>(cursor.Schema["Site"]);
        ValueGetter<ReadOnlyMemory<char>> kind = cursor.GetGetter<ReadOnlyMemory<char>>(cursor.Schema["Kind"]);
        ValueGetter<int> level = cursor.GetGetter<int>(cursor.Schema["Level"]);
        float number = 0;
        int whole = 0;
        ReadOnlyMemory<char> text = default, itsSite = default, itsKind = default;
        long rows = 0;
        for (; cursor.MoveNext(); rows++)
        {
            foreach (ValueGetter<float> get in numbers)
                get(ref number);
            foreach (ValueGetter<int> get in wholes)
                get(ref whole);
            foreach (ValueGetter<ReadOnlyMemory<char>> get in texts)
                get(ref text);
            site(ref itsSite);
            kind(ref itsKind);
            level(ref whole);
            look(new Seen(itsSite.ToString(), itsKind.ToString(), whole));
        }
        return rows;
    }

    private static IEnumerable<ValueGetter<T>> Columns<T>(DataViewRowCursor cursor, DataViewType type) =>
        cursor.Schema.Where(c => c.Type.Equals(type)).Select(c => cursor.GetGetter<T>(c));

    private static IEnumerable<Reading> Readings()
    {
        string[] sites = ["north", "south", "east", "west"], kinds = ["a", "b", "c"];
        string[] makers = [.. Enumerable.Range(0, 40).Select(i => $"maker {i}")];
        SplitMix64 random = new(1);
        for (int i = 0; i < TrainingRows; i++)
        {
            int site = random.Next(sites.Length), kind = random.Next(kinds.Length), level = random.Next(6);
            float load = (float)(random.NextDouble() + random.NextDouble() + site);
            yield return new Reading
            {
                Site = sites[site],
                Kind = kinds[kind],
                Maker = makers[random.Next(kind == 0 ? 40 : 10)],
                State = random.NextDouble() < load / 5 ? "worn" : "new",
                Level = level,
                Hours = (int)(1000 * load * random.NextDouble()),
                Load = load,
                Heat = (float)(20 + 5 * load + random.NextDouble()),
                Noise = random.Next(10) == 0 ? float.NaN : (float)Math.Exp(random.NextDouble() * (1 + kind)),
                Drift = (float)(random.NextDouble() - 0.5) * level,
            };
        }
    }

    private readonly record struct Seen(string Site, string Kind, int Level);

    private sealed class Reading
    {
        public string Site { get; set; } = "";

        public string Kind { get; set; } = "";

        public string Maker { get; set; } = "";

        public string State { get; set; } = "";

        public int Level { get; set; }

        public int Hours { get; set; }

        public float Load { get; set; }

        public float Heat { get; set; }

        public float Noise { get; set; }

        public float Drift { get; set; }
    }
}
