using System.Runtime.InteropServices;
using System.Text;
using GenerativeML.TestData;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>What both sides work on, in memory for us and in files for the other; made when it is asked for.</summary>
internal sealed class SpeedData : IDisposable
{
    /// <summary>Columns of the table.</summary>
    public const int Columns = 32;

    /// <summary>Pixels of an image.</summary>
    public const int Pixels = 784;

    /// <summary>The characters of the text, of which there are as many as tiny Shakespeare has.</summary>
    public const int Characters = 65;

    private const int TextLength = 200_000, ImageRows = 12_800, RingRows = 12_800, FirstCharacter = ' ';

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("generativeml-speed-");
    private readonly MLContext _ml = new(seed: 0);
    private readonly Dictionary<int, float[][]> _tables = [];
    private readonly Dictionary<float[][], IDataView> _views = [], _streams = [];
    private readonly Lazy<float[][]> _images, _ring;
    private readonly Lazy<string> _text;

    public SpeedData()
    {
        _images = new(MakeImages);
        _ring = new(() => new GaussianRing().Sample(RingRows, seed: 0));
        _text = new(MakeText);
    }

    /// <summary>Grey pixels: smooth patterns on a sheet, from few causes.</summary>
    public float[][] Images => _images.Value;

    /// <summary>Points on a ring of Gaussians.</summary>
    public float[][] Ring => _ring.Value;

    /// <summary>A text in which a character depends on the one before, so that there is something to learn.</summary>
    public string Text => _text.Value;

    /// <summary>Rows near a surface, <see cref="Columns"/> wide.</summary>
    public float[][] Table(int rows)
    {
        if (!_tables.TryGetValue(rows, out float[][]? table))
        {
            var source = new GeneratedRows(rows, Columns);
            table = new float[rows][];
            for (int i = 0; i < rows; i++)
                source.Compute(i, table[i] = new float[Columns]);
            _tables.Add(rows, table);
        }
        return table;
    }

    /// <summary>The same rows as ML.NET sees them, in the column <c>Features</c>.</summary>
    public IDataView View(float[][] rows)
    {
        if (!_views.TryGetValue(rows, out IDataView? view))
            _views.Add(rows, view = VectorRows.View(_ml, rows, rows[0].Length));
        return view;
    }

    /// <summary>
    /// The same, but one behind the other in memory as in the other side's tensor: a million separate objects would
    /// measure how long memory takes to find each.
    /// </summary>
    public IDataView Stream(float[][] rows)
    {
        if (!_streams.TryGetValue(rows, out IDataView? stream))
            _streams.Add(rows, stream = VectorRows.Stream(_ml, [.. rows.SelectMany(row => row)], rows[0].Length));
        return stream;
    }

    /// <summary>A file of this name in a folder that goes with this object; its content is made once.</summary>
    public string File(string name, Action<string> write)
    {
        string path = Path.Combine(_folder.FullName, name);
        if (!System.IO.File.Exists(path))
            write(path);
        return path;
    }

    /// <summary>A file with rows under the name <c>rows</c>.</summary>
    public string RowsFile(string name, float[][] rows) => File(name, path =>
        Write(path, new TensorSpec("rows", TensorType.F32, rows.Length, rows[0].Length),
            rows.Select(row => MemoryMarshal.AsBytes<float>(row).ToArray())));

    /// <summary>A file with the text's tokens under the name <c>tokens</c>.</summary>
    public string TokensFile() => File("tokens.safetensors", path =>
        Write(path, new TensorSpec("tokens", TensorType.I64, Text.Length),
            [MemoryMarshal.AsBytes<long>(Text.Select(c => (long)(c - FirstCharacter)).ToArray()).ToArray()]));

    /// <inheritdoc />
    public void Dispose() => _folder.Delete(recursive: true);

    private static void Write(string path, TensorSpec spec, IEnumerable<byte[]> pieces)
    {
        AtomicFile.Write(path, file => SafetensorsWriter.Write(file, [spec], (_, write) =>
        {
            foreach (byte[] piece in pieces)
                write(piece);
        }));
    }

    private static float[][] MakeImages()
    {
        const int Causes = 10, Side = 28;
        var random = new SplitMix64(1);
        var images = new float[ImageRows][];
        double[][] waves = [.. Enumerable.Range(0, Causes).Select(_ => Draw(ref random, 3))];
        for (int i = 0; i < images.Length; i++)
        {
            double[] strength = Draw(ref random, Causes);
            images[i] = new float[Pixels];
            for (int p = 0; p < Pixels; p++)
            {
                double x = p % Side / (double)Side, y = p / Side / (double)Side, sum = 0;
                for (int c = 0; c < Causes; c++)
                    sum += strength[c] * Math.Sin(6 * (waves[c][0] * x + waves[c][1] * y + waves[c][2]));
                images[i][p] = (float)(1 / (1 + Math.Exp(-3 * sum)));
            }
        }
        return images;
    }

    private static double[] Draw(ref SplitMix64 random, int count)
    {
        double[] values = new double[count];
        for (int i = 0; i < count; i++)
            values[i] = 2 * random.NextDouble() - 1;
        return values;
    }

    private static string MakeText()
    {
        const int Successors = 8;
        var random = new SplitMix64(2);
        var text = new StringBuilder(TextLength);
        int[][] next = [.. Enumerable.Range(0, Characters).Select(_ => new int[Successors])];
        foreach (int[] choices in next)
        {
            for (int i = 0; i < Successors; i++)
                choices[i] = random.Next(Characters);
        }
        int current = 0;
        for (int i = 0; i < TextLength; i++)
        {
            // Now and then any character, so that all occur; each at the text's start, so that none can be missing.
            current = i < Characters ? i : random.Next(10) == 0
                ? random.Next(Characters)
                : next[current][Math.Min(random.Next(Successors), random.Next(Successors))];
            text.Append((char)(FirstCharacter + current));
        }
        return text.ToString();
    }
}
