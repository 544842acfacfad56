using System.Globalization;
using System.Numerics.Tensors;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>Goes through a detector's output.</summary>
internal sealed class DetectionReader : IDisposable
{
    /// <summary>What stands for a missing value in tables of texts; not "none", which is a label of ordinary rows.</summary>
    public static readonly HashSet<string> MissingMarks = new(["NaN", "NA", "N/A", "#N/A", "null", "?", "-", "--"], StringComparer.OrdinalIgnoreCase);

    private readonly DetectionReportOptions _options;
    private readonly HashSet<string> _normal;
    private readonly DataViewRowCursor _cursor;
    private readonly ValueGetter<float> _score;
    private readonly ValueGetter<bool>? _flag;
    private readonly ValueGetter<VBuffer<float>>? _parts, _features, _latent;
    private readonly TableCells? _label;
    private readonly bool _labelIsNumber, _labelIsKey, _labelIsBoolean;
    private readonly string[] _names = [];
    private readonly double[] _sums = [];
    private readonly long[] _counts = [];
    private VBuffer<float> _buffer;
    private float _current;
    private bool _flagged;

    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of the wrong type.</exception>
    public DetectionReader(IDataView scored, DetectionReportOptions options)
    {
        _options = options;
        _normal = new(options.NormalLabels, StringComparer.OrdinalIgnoreCase);
        DataViewSchema.Column score = Find(options.ScoreColumnName, "a Single", type => type == NumberDataViewType.Single)!.Value;
        DataViewSchema.Column? flag = Find(options.PredictedLabelColumnName, "a Boolean", type => type is BooleanDataViewType);
        DataViewSchema.Column? label = Find(
            options.LabelColumnName, "a Boolean, a number, a text or a key", type => type is not VectorDataViewType && TableItem.Of(type) is { IsTime: false });
        DataViewSchema.Column? parts = Find(options.FeatureScoreColumnName, "a vector of Single of known size", IsVector);
        DataViewSchema.Column? features = Find(options.FeatureColumnName, $"{parts?.Type}", type => type.Equals(parts?.Type));
        DataViewSchema.Column? latent = Find(options.LatentColumnName, "a vector of Single of known size", IsVector);
        _cursor = scored.GetRowCursor(new[] { score, flag, label, parts, features, latent }.OfType<DataViewSchema.Column>());
        _score = _cursor.GetGetter<float>(score);
        _flag = flag is { } verdict ? _cursor.GetGetter<bool>(verdict) : null;
        (_parts, _features, _latent) = (Vector(parts), Vector(features), Vector(latent));
        if (label is { } told)
        {
            _label = new TableCells(_cursor, told);
            (_labelIsNumber, _labelIsKey) = (told.Type is NumberDataViewType or BooleanDataViewType, told.Type is KeyDataViewType);
            _labelIsBoolean = told.Type is BooleanDataViewType;
        }
        if ((features ?? parts) is { } named)
        {
            _names = [.. TableCells.NamesOf(named).Select(name => name[(named.Name.Length + 1)..])];
            (_sums, _counts) = (new double[_names.Length], new long[_names.Length]);
        }

        static bool IsVector(DataViewType type) =>
            type is VectorDataViewType { IsKnownSize: true } vector && vector.ItemType == NumberDataViewType.Single;

        DataViewSchema.Column? Find(string? name, string expected, Func<DataViewType, bool> fits) =>
            name is null ? null
            : scored.Schema.GetColumnOrNull(name) is not { } column
                ? throw InputColumns.Missing(name, expected, scored.Schema, nameof(scored))
            : fits(column.Type) ? column
            : throw InputColumns.Mismatch(name, expected, column.Type.ToString()!, unknownSize: false, nameof(scored));

        ValueGetter<VBuffer<float>>? Vector(DataViewSchema.Column? column) =>
            column is { } vector ? _cursor.GetGetter<VBuffer<float>>(vector) : null;
    }

    /// <summary>Whether there is a column of verdicts.</summary>
    public bool HasFlags => _flag is not null;

    /// <summary>The row's number, from 1.</summary>
    public long Row => _cursor.Position + 1;

    /// <summary>The row's score.</summary>
    public float Score => _current;

    /// <summary>The detector's verdict; false without one.</summary>
    public bool IsFlagged => _flagged;

    /// <summary>What the label says.</summary>
    public RowLabel Label { get; private set; }

    /// <summary>The label as people read it; null where there is none.</summary>
    public string? LabelText { get; private set; }

    /// <summary>Whether several labels may mean anomalies.</summary>
    public bool TellsKinds => _label is not null && !_labelIsBoolean;

    /// <summary>Goes on to the next row.</summary>
    public bool MoveNext()
    {
        if (!_cursor.MoveNext())
            return false;
        if (_cursor.Position % 1024 == 0)
            _options.CancellationToken.ThrowIfCancellationRequested();
        _score(ref _current);
        _flag?.Invoke(ref _flagged);
        if (_label is not null)
        {
            _label.Read();
            LabelText = _label.Text(0);
            Label = _labelIsNumber
                ? LabelText is "NaN" ? RowLabel.Unlabelled : LabelText is "0" or "-0" or "false" ? RowLabel.Normal : RowLabel.Anomalous
                : _labelIsKey && LabelText.Length == 0 ? RowLabel.Unlabelled
                : _normal.Contains(LabelText) || (double.TryParse(LabelText, CultureInfo.InvariantCulture, out double number) && number == 0)
                    ? RowLabel.Normal
                : MissingMarks.Contains(LabelText) ? RowLabel.Unlabelled
                : RowLabel.Anomalous;
        }
        if (_features is not null && !_flagged)
        {
            _features(ref _buffer);
            foreach ((int feature, float value) in _buffer.Items(all: true))
            {
                if (float.IsFinite(value))
                    (_sums[feature], _counts[feature]) = (_sums[feature] + value, _counts[feature] + 1);
            }
        }
        return true;
    }

    /// <summary>The current row among the strangest, and the numbers of the features that are its reasons.</summary>
    public (StrangeRow Row, int[] Features) Strange()
    {
        if (_parts is null)
            return (new(Row, Score, LabelText, []), []);
        _parts(ref _buffer);
        float[] parts = [.. _buffer.DenseValues()];
        float[]? values = null;
        if (_features is not null)
        {
            _features(ref _buffer);
            values = [.. _buffer.DenseValues()];
        }
        double all = Math.Max(parts.Sum(part => (double)part), float.Epsilon);
        int[] most = [.. parts.Index().OrderByDescending(part => part.Item).Take(3).Select(part => part.Index)];
        return (
            new(Row, Score, LabelText, [.. most.Select(feature => new FeatureReason(_names[feature], parts[feature] / all, values?[feature], null))]), most);
    }

    /// <summary>A strange row with the usual values, which are known at the end.</summary>
    public StrangeRow WithUsual((StrangeRow Row, int[] Features) strange) => _features is null ? strange.Row : strange.Row with
    {
        Reasons =
        [
            .. strange.Row.Reasons.Zip(strange.Features, (reason, feature) =>
                reason with { Usual = _counts[feature] == 0 ? double.NaN : _sums[feature] / _counts[feature] }),
        ],
    };

    /// <summary>Puts the current row where it may be drawn for the map.</summary>
    public void AddTo(LatentSample sample)
    {
        if (_latent is not null && sample.NextPlace() is >= 0 and int place)
        {
            _latent(ref _buffer);
            sample.Put(place, [.. _buffer.DenseValues()], Score, Label switch
            {
                RowLabel.Unlabelled => null,
                var label => label == RowLabel.Anomalous,
            });
        }
    }

    public void Dispose() => _cursor.Dispose();
}

/// <summary>Latent vectors of rows, every row equally likely (Vitter's algorithm R 1985), and the plane in which they differ most.</summary>
internal sealed class LatentSample(int size, int seed)
{
    private readonly List<Drawn> _rows = [];
    private SplitMix64 _random = new(SplitMix64.Derive(seed, RandomPurpose.Sample));
    private ulong _seen;

    /// <summary>The place for the next row: at the end, that of an earlier row, or −1 for none.</summary>
    public int NextPlace()
    {
        _seen++;
        ulong at = _rows.Count < size ? (ulong)_rows.Count : _random.Next() % _seen;
        return at < (ulong)size ? (int)at : -1;
    }

    /// <summary>Puts a row where <see cref="NextPlace"/> says.</summary>
    public void Put(int place, float[] latent, float score, bool? isAnomaly)
    {
        var row = new Drawn { Latent = latent, Score = score, IsAnomaly = isAnomaly };
        if (place == _rows.Count)
            _rows.Add(row);
        else
            _rows[place] = row;
    }

    /// <summary>The rows by their first two principal components, and the share of the variance that these have.</summary>
    public (LatentPoint[] Points, double? Share) Map()
    {
        Drawn[] rows = [.. _rows.Where(row => row.Latent.All(float.IsFinite))];
        if (rows.Length < 3)
            return ([], null);
        int width = rows[0].Latent.Length;
        double[] means = [.. Enumerable.Range(0, width).Select(i => rows.Average(row => (double)row.Latent[i]))];
        double[][] centred = [.. rows.Select(row => row.Latent.Select((value, i) => value - means[i]).ToArray())];
        double all = centred.Sum(row => row.Sum(value => value * value));
        (double[] first, double[] second) = Axes(centred);
        (double X, double Y)[] at = [.. centred.Select(row => (Dot(row, first), Dot(row, second)))];
        double shown = at.Sum(point => point.X * point.X + point.Y * point.Y);
        LatentPoint[] points = [.. rows.Zip(at, (row, p) => new LatentPoint((float)p.X, (float)p.Y, row.Score, row.IsAnomaly))];
        return (points, all == 0 ? 1 : shown / all);
    }

    /// <summary>
    /// The first two principal axes, by orthogonal iteration of two vectors, which a rotation within their plane makes exact even
    /// where both variances are alike; zero where there is no variance.
    /// </summary>
    private (double[] First, double[] Second) Axes(double[][] rows)
    {
        const int MostSteps = 1000;
        int width = rows[0].Length;
        SplitMix64 random = new(SplitMix64.Derive(seed, RandomPurpose.Sample));
        (double[] a, double[] b) = (new double[width], new double[width]);
        for (int i = 0; i < width; i++)
            (a[i], b[i]) = (random.NextDouble() - 0.5, random.NextDouble() - 0.5);
        double moved = 1;
        for (int step = 0; step < MostSteps && moved > 1e-14; step++)
        {
            (double[] nextA, double[] nextB) = (Spread(rows, a), Spread(rows, b));
            double largest = Math.Sqrt(Math.Max(Dot(nextA, nextA), Dot(nextB, nextB)));
            Normalize(nextA, 0);
            Subtract(nextB, nextA);
            Subtract(nextB, nextA); // once more, as the rest may be small
            Normalize(nextB, 1e-12 * largest);
            moved = Math.Max(Moved(a, nextA), Moved(b, nextB));
            (a, b) = (nextA, nextB);
        }
        (double[] spreadA, double[] spreadB) = (Spread(rows, a), Spread(rows, b));
        double angle = Math.Atan2(2 * Dot(a, spreadB), Dot(a, spreadA) - Dot(b, spreadB)) / 2;
        (double sin, double cos) = Math.SinCos(angle);
        return ([.. a.Zip(b, (x, y) => cos * x + sin * y)], [.. a.Zip(b, (x, y) => cos * y - sin * x)]);

        static double Moved(double[] before, double[] after) => Dot(after, after) == 0 ? 0 : 1 - Math.Abs(Dot(before, after));
    }

    // The covariance of rows, unscaled, times a vector.
    private static double[] Spread(double[][] rows, double[] vector)
    {
        double[] sum = new double[vector.Length];
        foreach (double[] row in rows)
            TensorPrimitives.MultiplyAdd(row, Dot(row, vector), sum, sum);
        return sum;
    }

    private static double Dot(double[] a, double[] b) => TensorPrimitives.Dot<double>(a, b);

    private static void Subtract(double[] vector, double[] axis) => TensorPrimitives.MultiplyAdd(axis, -Dot(vector, axis), vector, vector);

    private static void Normalize(double[] vector, double negligible)
    {
        double length = Math.Sqrt(Dot(vector, vector));
        TensorPrimitives.Multiply(vector, length > negligible ? 1 / length : 0, vector);
    }

    private sealed class Drawn
    {
        public required float[] Latent { get; init; }

        public required float Score { get; init; }

        public required bool? IsAnomaly { get; init; }
    }
}
