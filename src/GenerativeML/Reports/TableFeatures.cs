using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// Rows as a linear classifier sees them: each category as a slot that is 0 or 1, the rarest ones together; each number
/// in standard units and as a slot for the bin it is in, with as many training rows in each bin; and, on request, a
/// slot for each combination of two columns, so that a linear classifier sees how columns go together.
/// </summary>
internal sealed class TableFeatures
{
    private const int NumberBins = 16, MostCategories = 100;

    /// <summary>Pairs take at most this many slots each, and combinations beyond share them.</summary>
    private const int MostPairSlots = 1024;

    private readonly int[] _columns;
    private readonly double[][] _edges;
    private readonly int[][] _places;
    private readonly int[] _sizes;
    private readonly (double Mean, double Deviation, bool HasMissing)[] _scales;
    private readonly (int First, int Second, int Start, int Slots)[] _pairs;

    /// <summary>
    /// Learns bins and scales from <paramref name="training"/>; <paramref name="without"/> is left out, and −1 leaves
    /// out none.
    /// </summary>
    public TableFeatures(ReportTable training, int without, IReadOnlyList<(int First, int Second)> pairs)
    {
        _columns = [.. Enumerable.Range(0, training.Columns.Count).Where(c => c != without)];
        _edges = new double[training.Columns.Count][];
        _places = new int[training.Columns.Count][];
        _sizes = new int[training.Columns.Count];
        _scales = new (double, double, bool)[training.Columns.Count];
        int width = 0;
        foreach (int c in _columns)
        {
            if (training.Columns[c].IsNumeric)
            {
                _edges[c] = EdgesOf(training.Numbers(c));
                _scales[c] = RowDistances.ScaleOf(training, c);
                _sizes[c] = _edges[c].Length + 2;
                width++;
            }
            else
            {
                (_places[c], _sizes[c]) = PlacesOf(ColumnShapes.Counts(training, c));
            }
            width += _sizes[c];
        }
        _pairs = new (int, int, int, int)[pairs.Count];
        for (int p = 0; p < pairs.Count; p++)
        {
            (int first, int second) = pairs[p];
            int slots = Math.Min(_sizes[first] * _sizes[second], MostPairSlots);
            _pairs[p] = (first, second, width, slots);
            width += slots;
        }
        Width = width;
    }

    /// <summary>The number of slots.</summary>
    public int Width { get; }

    /// <summary>The row as a sparse vector.</summary>
    public VBuffer<float> Of(ReportTable table, int row)
    {
        List<int> slots = [];
        List<float> values = [];
        int[] bins = new int[_sizes.Length];
        int at = 0;
        foreach (int c in _columns)
        {
            if (table.Columns[c].IsNumeric)
            {
                double number = table.Numbers(c)[row];
                bins[c] = BinOf(number, c);
                slots.Add(at++);
                // A single value far out must not decide everything.
                values.Add(double.IsNaN(number)
                    ? 0
                    : (float)Math.Clamp((number - _scales[c].Mean) / _scales[c].Deviation, -10, 10));
            }
            else
            {
                int code = table.Codes(c)[row];
                bins[c] = code < _places[c].Length ? _places[c][code] : _sizes[c] - 1;
            }
            slots.Add(at + bins[c]);
            values.Add(1);
            at += _sizes[c];
        }
        foreach ((int first, int second, int start, int count) in _pairs)
        {
            slots.Add(start + (bins[first] * _sizes[second] + bins[second]) % count);
            values.Add(1);
        }
        return new VBuffer<float>(Width, slots.Count, [.. values], [.. slots]);
    }

    private int BinOf(double number, int column)
    {
        if (double.IsNaN(number))
            return _edges[column].Length + 1;
        int found = Array.BinarySearch(_edges[column], number);
        return found >= 0 ? found : ~found;
    }

    /// <summary>The upper ends of the bins but the last, each belonging to its bin.</summary>
    private static double[] EdgesOf(ReadOnlySpan<double> numbers)
    {
        double[] sorted = ColumnShapes.Sorted(numbers);
        return sorted.Length == 0
            ? []
            :
            [
                .. Enumerable.Range(1, NumberBins - 1)
                    .Select(i => sorted[(int)((long)i * sorted.Length / NumberBins)])
                    .Distinct(),
            ];
    }

    /// <summary>A slot for each of the most frequent categories, and one for all others.</summary>
    private static (int[] Places, int Size) PlacesOf(long[] counts)
    {
        int[] frequent = [.. Enumerable.Range(0, counts.Length).Where(code => counts[code] > 0)
            .OrderByDescending(code => counts[code]).ThenBy(code => code).Take(MostCategories)];
        int[] places = new int[counts.Length];
        Array.Fill(places, frequent.Length);
        for (int i = 0; i < frequent.Length; i++)
            places[frequent[i]] = i;
        return (places, frequent.Length + 1);
    }
}
