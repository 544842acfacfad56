using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace GenerativeML;

/// <summary>Goes through a detector's output.</summary>
internal sealed class DetectionReader : IDisposable
{
    private readonly DetectionReportOptions _options;
    private readonly HashSet<string> _normal;
    private readonly DataViewRowCursor _cursor;
    private readonly ValueGetter<float> _score;
    private readonly ValueGetter<bool>? _flag;
    private readonly ValueGetter<VBuffer<float>>? _parts, _features, _latent;
    private readonly TableCells? _label;
    private readonly bool _labelIsNumber, _labelIsKey;
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

    /// <summary>Whether labels are texts, of which several mean anomalies.</summary>
    public bool TellsKinds => _label is not null && !_labelIsNumber;

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

    /// <summary>The current row among the strangest.</summary>
    public StrangeRow Strange()
    {
        if (_parts is null)
            return new(Row, Score, LabelText, []);
        _parts(ref _buffer);
        float[] parts = [.. _buffer.DenseValues()];
        float[]? values = null;
        if (_features is not null)
        {
            _features(ref _buffer);
            values = [.. _buffer.DenseValues()];
        }
        double all = Math.Max(parts.Sum(part => (double)part), float.Epsilon);
        return new(Row, Score, LabelText,
        [
            .. parts.Index().OrderByDescending(part => part.Item).Take(3)
                .Select(part => new FeatureReason(_names[part.Index], part.Item / all, values?[part.Index], null)),
        ]);
    }

    /// <summary>A strange row with the usual values, which are known at the end.</summary>
    public StrangeRow WithUsual(StrangeRow row) => _features is null ? row : row with
    {
        Reasons = [.. row.Reasons.Select(reason => Array.IndexOf(_names, reason.Feature) is var feature
            ? reason with { Usual = _counts[feature] == 0 ? double.NaN : _sums[feature] / _counts[feature] }
            : reason)],
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
    public (LatentPoint[] Points, double? Share) Map(int seed)
    {
        Drawn[] rows = [.. _rows.Where(row => row.Latent.All(float.IsFinite))];
        if (rows.Length < 3)
            return ([], null);
        int width = rows[0].Latent.Length;
        double[] means = [.. Enumerable.Range(0, width).Select(i => rows.Average(row => (double)row.Latent[i]))];
        double all = rows.Sum(row => row.Latent.Select((value, i) => (value - means[i]) * (value - means[i])).Sum());
        float[][] at = all == 0 ? [.. rows.Select(_ => new float[2])]
            : width == 1 ? [.. rows.Select(row => new[] { (float)(row.Latent[0] - means[0]), 0 })]
            : Project(rows, means, seed);
        double shown = at.Sum(point => (double)point[0] * point[0] + (double)point[1] * point[1]);
        return ([.. rows.Zip(at, (row, point) => new LatentPoint(point[0], point[1], row.Score, row.IsAnomaly))], all == 0 ? 1 : shown / all);
    }

    private static float[][] Project(Drawn[] rows, double[] means, int seed)
    {
        var ml = new MLContext(seed);
        var schema = SchemaDefinition.Create(typeof(Drawn));
        schema[nameof(Drawn.Latent)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, means.Length);
        IDataView view = ml.Data.LoadFromEnumerable(
            rows.Select(row => new Drawn { Latent = [.. row.Latent.Zip(means, (value, mean) => (float)(value - mean))] }), schema);
        PrincipalComponentAnalysisTransformer components = ml.Transforms.ProjectToPrincipalComponents(
            "Map", nameof(Drawn.Latent), rank: 2, ensureZeroMean: false, seed: seed).Fit(view);
        return [.. components.Transform(view).GetColumn<float[]>("Map")];
    }

    private sealed class Drawn
    {
        public float[] Latent { get; set; } = [];

        [NoColumn]
        public float Score { get; set; }

        [NoColumn]
        public bool? IsAnomaly { get; set; }
    }
}
