using System.Globalization;

namespace GenerativeML;

/// <summary>
/// A trained Bayesian network of a table: answers questions about its columns, generates rows, and adds to rows, where
/// options name columns for that, how improbable they are.
/// </summary>
/// <remarks>
/// <inheritdoc cref="TabularTransformer" path="/remarks"/>
/// <para>
/// The score of a row is −log of its probability, in nats, in which a number counts as its bin. A category that was never
/// seen counts as one row beside all training rows, and a missing value where training had none adds nothing. With
/// <see cref="BayesianNetworkOptions.PriorRows"/> zero a score can be infinite; it is never NaN.
/// </para>
/// </remarks>
public sealed class BayesianNetworkTransformer : TabularTransformer, IAnomalyDetector
{
    private const string Missing = "(missing)", Others = "(others)";

    private readonly BayesianTable _model;
    private readonly TableMapping _mapping;
    private readonly ConditionResolver _resolver;
    private readonly TableScores _scores;

    internal BayesianNetworkTransformer(
        BayesianTable model, TableSchema table, TableMapping mapping, TableDetection? detection)
        : this(model, table, mapping, new TableScores(model, table, mapping, detection))
    {
    }

    private BayesianNetworkTransformer(BayesianTable model, TableSchema table, TableMapping mapping, TableScores scores)
        : base(model, table, mapping, scores)
    {
        (_model, _mapping, _scores, _resolver) = (model, mapping, scores, new(table, mapping));
        BayesianNetwork learned = model.Network;
        Network = new BayesianNetwork(
            learned.Names, [.. Enumerable.Range(0, learned.Count).Select(StatesOf)], learned.Parents, learned.Tables);
    }

    /// <inheritdoc/>
    public float Threshold
    {
        get => _scores.Threshold;
        set => _scores.Threshold = OptionChecks.Threshold(value);
    }

    /// <summary>
    /// The network: a variable for each column that was learned, by its name. Its states are values, bins of numbers as
    /// <c>30 to 35.5</c>, <c>(missing)</c>, and <c>(others)</c> for rare values of a column that has very many. Columns
    /// that a constraint combines are one variable, <c>A + B</c>.
    /// </summary>
    public BayesianNetwork Network { get; }

    /// <summary>How likely each value of a column, or each bin of its numbers, is in rows that meet a condition; exact.</summary>
    /// <param name="columnName">The column.</param>
    /// <param name="where">What is known of the rows. Default: nothing.</param>
    /// <returns>Values and their probabilities, which sum to one.</returns>
    /// <exception cref="ArgumentException">
    /// There is no such column, it is not learned as it is, or no row meets the condition; the message says why.
    /// </exception>
    /// <exception cref="InvalidOperationException">The answer would take more memory than there is.</exception>
    public IReadOnlyDictionary<string, double> Query(string columnName, RowCondition? where = null)
    {
        ArgumentNullException.ThrowIfNull(columnName);
        int field = _mapping.Data.Columns.ToList().FindIndex(c => c.Name == columnName);
        if (field < 0 || _mapping.ColumnOf(field) < 0)
        {
            string[] names = [.. _mapping.Data.Columns.Where(c => c.Kind != TableColumnKind.Identifier).Take(20).Select(c => $"'{c.Name}'")];
            throw new ArgumentException(
                $"Column '{columnName}' is {(field < 0 ? "missing" : "an identifier, which is not learned")}: there are {string.Join(", ", names)}.");
        }
        RequireDirect([field]);
        (double[]?[] weights, TokenColumn[] columns) = Evidence(where);
        int position = PositionOf(field);
        double[] states = _model.Network.Marginals(weights, position)[0];
        var answer = new OrderedDictionary<string, double>();
        if (columns[position] is not CategoryTokens tokens)
        {
            foreach ((string state, double share) in Network.States[position].Zip(states))
                answer[state] = share;
            return answer;
        }
        int place = _mapping.CombinationOf(field)?.Fields.ToList().IndexOf(field) ?? 0;
        string[] values = ValuesOf(field);
        foreach (string value in values)
            answer[value] = 0;
        for (int token = 0; token < states.Length; token++)
        {
            foreach ((int code, double share) in states[token] > 0 ? tokens.CodesOf(token) : [])
                answer[values[_mapping.CombinationOf(field)?.Rows[code][place] ?? code]] += states[token] * share;
        }
        return answer;
    }

    /// <summary>The states of all variables of <see cref="Network"/> that are most probable together under a condition.</summary>
    /// <param name="where">What is known of the row. Default: nothing.</param>
    /// <inheritdoc cref="Query" path="/exception"/>
    public IReadOnlyDictionary<string, string> MostProbable(RowCondition? where = null)
    {
        int[] states = _model.Network.MostProbable(Evidence(where).Weights);
        return new OrderedDictionary<string, string>(
            states.Select((state, v) => KeyValuePair.Create(Network.Names[v], Network.States[v][state])));
    }

    private protected override TableDetection? Detection => _scores.Detection;

    private (double[]?[] Weights, TokenColumn[] Columns) Evidence(RowCondition? where)
    {
        if (where is null)
            return _model.Evidence(null);
        RequireDirect(where.Columns.Select(c => _mapping.Data.Columns.ToList().FindIndex(known => known.Name == c.Column)));
        return _model.Evidence(_resolver.Resolve(where).Model);
    }

    // Of a column that is learned as its distance from others no question is answered exactly.
    private void RequireDirect(IEnumerable<int> fields)
    {
        foreach (int field in fields)
        {
            if (_mapping.Plan.Differences.Any(d => d.Upper == field))
            {
                throw new ArgumentException($"Column '{_mapping.Data.Columns[field].Name}' is learned as its distance from "
                    + "another, which a constraint names: only rows are generated with conditions on it.");
            }
        }
    }

    private int PositionOf(int field) => _model.Tokens.Order.ToList().IndexOf(_mapping.ColumnOf(field));

    private string[] ValuesOf(int field) => Different(
        _resolver.ValuesOf(field).Select(v => v is null ? Missing : Convert.ToString(v, CultureInfo.InvariantCulture)!));

    private string[] StatesOf(int position)
    {
        int column = _model.Tokens.Order[position];
        int[] fields = [.. Enumerable.Range(0, _mapping.Data.Columns.Count).Where(f => _mapping.ColumnOf(f) == column)];
        if (_model.Tokens.Columns[position] is CategoryTokens categories)
        {
            string[][] values = [.. fields.Select(ValuesOf)];
            return Different(Enumerable.Range(0, categories.Count).Select(token => categories.CodesOf(token).ToArray() is [var (code, _)]
                ? _mapping.CombinationOf(fields[0]) is { } combination
                    ? string.Join(" + ", combination.Rows[code].Select((own, i) => values[i][own]))
                    : values[0][code]
                : Others));
        }
        TableItem item = _resolver.ItemOf(fields[0]);
        bool isGap = _mapping.Plan.Differences.Any(d => d.Upper == fields[0]);
        var numbers = (NumberTokens)_model.Tokens.Columns[position];
        return Different(Enumerable.Range(0, numbers.Count).Select(token => numbers.RangeOf(token) is not var (low, high) ? Missing
            : low == high ? Show(low)
            : $"{Show(low)} to {Show(high)}"));

        string Show(double value) => isGap ? value.ToString(CultureInfo.InvariantCulture) : item.Show(value);
    }

    private static string[] Different(IEnumerable<string> names)
    {
        var taken = new HashSet<string>();
        return [.. names.Select(name =>
        {
            string free = name;
            for (int i = 2; !taken.Add(free); i++)
                free = string.Create(CultureInfo.InvariantCulture, $"{name} ({i})");
            return free;
        })];
    }
}

/// <summary>Scores rows of a table by their probability.</summary>
internal sealed class TableScores : IBatchModel
{
    private const int Rows = 256;

    private readonly BayesianTable _model;
    private readonly TableMapping _mapping;
    private readonly BayesianNetworkOptions _options;
    private readonly int[] _firstFields; // of each input
    private readonly CalibrationScores? _calibration;

    public TableScores(BayesianTable model, TableSchema table, TableMapping mapping, TableDetection? detection)
    {
        (_model, _mapping, _options) = (model, mapping, (BayesianNetworkOptions)model.Options);
        Outputs = _options.Outputs(model.Network.Names);
        var inputs = new List<RowField>();
        var fields = new List<int>();
        int first = 0;
        foreach (TableSchemaColumn column in table.Columns)
        {
            if (_options.Detects && column.Fields.Any(f => f.Identifier is null))
            {
                inputs.Add(new RowField(column.Name, FieldKind.Double, column.Fields.Count) { Table = column });
                fields.Add(first);
            }
            first += column.Fields.Count;
        }
        (Inputs, _firstFields) = (inputs, [.. fields]);
        _calibration = model.Calibration ?? CalibrationScores.Load(detection?.Calibration, _options.PValueColumnName);
        Threshold = detection is not null ? detection.Threshold ?? float.PositiveInfinity
            : _options.PredictedLabelColumnName is null ? float.PositiveInfinity
            : _calibration?.Threshold(_options.Contamination) ?? float.PositiveInfinity;
    }

    public IReadOnlyList<RowField> Inputs { get; }

    public IReadOnlyList<OutputColumn> Outputs { get; }

    public int BatchSize => Outputs.Count > 0 ? Rows : 1;

    public NonFiniteReplacement? Replacement => null;

    public float Threshold { get; set; }

    public TableDetection? Detection => !_options.Calibrates ? null : new(
        ModelJson.Threshold(Threshold), _options.PValueColumnName is null ? null : _calibration?.Sorted);

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        TableBlock data = new(_mapping.Data, rows), model = new(_mapping.Model, rows);
        for (int i = 0; i < Inputs.Count; i++)
        {
            for (int row = 0; row < rows; row++)
            {
                ReadOnlySpan<double> values = inputs.DoubleRow(i, row);
                for (int f = 0; f < values.Length; f++)
                    data[_firstFields[i] + f][row] = values[f];
            }
        }
        _mapping.Encode(data, model, rows, areNew: true);
        int[] states = new int[_model.Network.Count];
        double[] shares = new double[states.Length];
        for (int row = 0; row < rows; row++)
        {
            _model.Read(model, row, states);
            float score = (float)_model.Score(states, shares);
            for (int c = 0; c < Outputs.Count; c++)
            {
                if (!outputs.IsWanted(c))
                    continue;
                string name = Outputs[c].Name;
                if (name == _options.PredictedLabelColumnName)
                    outputs.Booleans(c)[row] = score > Threshold;
                else if (name == _options.ScoreColumnName)
                    outputs.Singles(c)[row] = score;
                else if (name == _options.PValueColumnName)
                    outputs.Singles(c)[row] = _calibration!.PValue(score);
                else
                    Array.ConvertAll(shares, share => (float)share).CopyTo(outputs.Singles(c)[(row * shares.Length)..]);
            }
        }
    }

    public void Dispose() => _model.Dispose();
}
