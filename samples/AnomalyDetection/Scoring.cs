using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace AnomalyDetection;

/// <summary>
/// What a program that only uses a detector has to do: load it and score. Nothing here names a type of the package
/// that trained it; ML.NET finds that by what the model file says.
/// </summary>
internal static class Scoring
{
    /// <summary>Writes scores for <see cref="Again"/> to compare with.</summary>
    public static void Write(string path, float[] scores) =>
        File.WriteAllBytes(path, MemoryMarshal.AsBytes<float>(scores));

    /// <summary>Starts this program again as a second process that scores the same file.</summary>
    /// <returns>The second process's exit code: zero if every score is the same.</returns>
    public static int InSecondProcess(params string[] arguments)
    {
        string program = Environment.ProcessPath!;
        var start = new ProcessStartInfo(program);
        if (Path.GetFileNameWithoutExtension(program) == "dotnet")
            start.ArgumentList.Add(typeof(Scoring).Assembly.Location);
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        using Process second = Process.Start(start)!;
        second.WaitForExit();
        return second.ExitCode;
    }

    /// <summary>
    /// Loads a model, scores <paramref name="data"/>, and compares with scores written before, bit by bit.
    /// </summary>
    /// <returns>Zero if every score is the same, otherwise one.</returns>
    public static int Again(string modelPath, CsvFile data, string scoresPath)
    {
        var ml = new MLContext();
        ITransformer model = ml.Model.Load(modelPath, out _);
        IDataView scored = model.Transform(data.Load(ml));

        ReadOnlySpan<int> before = MemoryMarshal.Cast<byte, int>(File.ReadAllBytes(scoresPath));
        int row = 0, different = 0;
        DataViewSchema.Column column = scored.Schema["Score"];
        using DataViewRowCursor cursor = scored.GetRowCursor([column]);
        ValueGetter<float> getScore = cursor.GetGetter<float>(column);
        for (float score = 0; cursor.MoveNext(); row++)
        {
            getScore(ref score);
            if (row >= before.Length || BitConverter.SingleToInt32Bits(score) != before[row])
                different++;
        }
        different += Math.Max(0, before.Length - row);

        Console.WriteLine(different == 0
            ? $"Process {Environment.ProcessId} loaded the model and scored {row} rows: same scores"
            : $"Process {Environment.ProcessId} loaded the model and scored {row} rows: {different} scores differ");
        return different == 0 ? 0 : 1;
    }
}
