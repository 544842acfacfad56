using System.Numerics;
using System.Text;
using System.Text.Json.Serialization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// What a hidden Markov model reads, as saved: the column and what its values are, and how rows are sequences. Keys and
/// characters are the numbers of categories, counted from zero.
/// </summary>
internal sealed record HiddenMarkovInput
{
    /// <summary>The most numbers of what states emit: they are held several times in training.</summary>
    public const long MaxNumbers = 1 << 24;

    /// <summary>The column with its type and annotations.</summary>
    public required VectorSchemaColumn Column { get; init; }

    /// <summary>The column that tells sequences apart, without annotations; null for one sequence, or one in each row.</summary>
    public VectorSchemaColumn? Group { get; init; }

    /// <summary>Numbers of a step.</summary>
    public required int StepWidth { get; init; }

    /// <summary>Whether each row is a whole sequence.</summary>
    public required bool RowsAreSequences { get; init; }

    /// <summary>The characters of texts; behind them comes one category for all others.</summary>
    public IReadOnlyList<string> Symbols { get; init; } = [];

    /// <summary>How many steps some of the training sequences had.</summary>
    public IReadOnlyList<int> Lengths { get; init; } = [];

    [JsonIgnore]
    public bool IsText => Column.Type is { KeyCount: 0, Item: "Text" };

    [JsonIgnore]
    public bool IsCategorical => IsText || Column.Type.KeyCount > 0;

    /// <summary>How many categories there are; zero for vectors.</summary>
    [JsonIgnore]
    public int Categories => IsText ? Symbols.Count + 1 : (int)Column.Type.KeyCount;

    /// <summary>The column as the row mapper finds it.</summary>
    [JsonIgnore]
    public RowField Field => IsText ? new(Column.Name, FieldKind.Text, 1)
        : new(Column.Name, FieldKind.Single, IsCategorical ? Categories : (int)Column.Type.Size) { IsCondition = IsCategorical };

    /// <summary>Finds the columns that options name.</summary>
    public static HiddenMarkovInput Of(DataViewSchema schema, HiddenMarkovOptions options, string parameter)
    {
        DataViewType? type = schema.GetColumnOrNull(options.FeatureColumnName)?.Type;
        InputKind kind = options.FeaturesPerStep is not null ? InputKind.Vector
            : type is TextDataViewType ? InputKind.Text : type is KeyDataViewType ? InputKind.Class : InputKind.Vector;
        RowField field = InputColumns.Describe(schema, options.FeatureColumnName, kind, parameter);
        RefuseGroup(options, kind);
        DataViewSchema.Column column = schema[options.FeatureColumnName];
        if (options.FeaturesPerStep is int each && field.Width % each != 0)
        {
            throw new InvalidOperationException(
                $"Column '{column.Name}' has {field.Width} features, which are no whole number of steps of "
                + $"{each} features each, as option {nameof(options.FeaturesPerStep)} says.");
        }
        VectorSchemaColumn Described(DataViewSchema.Column c, bool annotated) => new()
        {
            Name = c.Name,
            Type = TableType.Of(c.Type)!,
            Annotations = annotated ? TableAnnotation.All(c.Annotations, c.Name) : [],
        };
        return new()
        {
            Column = Described(column, annotated: true),
            Group = options.GroupColumnName is null ? null : Described(SequenceRows.FindGroup(schema, options.GroupColumnName, parameter), false),
            StepWidth = kind == InputKind.Vector ? options.FeaturesPerStep ?? field.Width : 1,
            RowsAreSequences = kind == InputKind.Text || options.FeaturesPerStep is not null,
        };
    }

    /// <summary>The same checks where only a schema's shape is known.</summary>
    public static void Check(SchemaShape shape, HiddenMarkovOptions options, string parameter)
    {
        SchemaShape.Column? column = shape.Where(c => c.Name == options.FeatureColumnName)
            .Select(c => (SchemaShape.Column?)c).FirstOrDefault();
        InputKind kind = options.FeaturesPerStep is not null ? InputKind.Vector
            : column is { ItemType: TextDataViewType } ? InputKind.Text
            : column is { IsKey: true } ? InputKind.Class : InputKind.Vector;
        InputColumns.Check(shape, options.FeatureColumnName, kind, parameter);
        RefuseGroup(options, kind);
        if (options.GroupColumnName is string group)
            SequenceRows.CheckGroup(shape, group, parameter);
    }

    /// <summary>All sequences of the training rows, in memory, and the input with what was learned of them.</summary>
    /// <exception cref="InvalidOperationException">There are none, or rows are refused, or they need more memory.</exception>
    public (HiddenMarkovInput Input, List<float[]> Sequences) ReadAll(
        IDataView data, HiddenMarkovOptions options)
    {
        var symbols = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (string symbol in options.Parameters?.Symbols ?? [])
            symbols.Add(symbol, symbols.Count);
        bool open = options.Parameters?.Symbols is null;
        List<float[]> sequences = SequenceRows.ReadAll(
            data, Column.Name, Group?.Name, RowsAreSequences, options, (row, column) => IsText ? Texts(row, column) : Steps(row, column));
        int stride = (sequences.Count + 999) / 1000;
        return (this with
        {
            Symbols = [.. symbols.Keys],
            Lengths = [.. sequences.Where((_, i) => i % stride == 0).Select(s => s.Length / StepWidth)],
        }, sequences);

        Action<List<float>> Texts(DataViewRow row, DataViewSchema.Column text)
        {
            ValueGetter<ReadOnlyMemory<char>> getter = row.GetGetter<ReadOnlyMemory<char>>(text);
            ReadOnlyMemory<char> value = default;
            return steps =>
            {
                getter(ref value);
                foreach (Rune rune in value.Span.EnumerateRunes())
                {
                    string symbol = rune.ToString();
                    if (!symbols.TryGetValue(symbol, out int number))
                    {
                        number = symbols.Count;
                        if (open)
                            symbols.Add(symbol, number);
                    }
                    steps.Add(number);
                }
            };
        }
    }

    /// <summary>What adds the values of a row that is read to a list: the features of a step or of several, or a key.</summary>
    public Action<List<float>> Steps(DataViewRow row, DataViewSchema.Column column)
    {
        if (column.Type is KeyDataViewType key)
        {
            return Type.GetTypeCode(key.RawType) switch
            {
                TypeCode.Byte => Keys<byte>(),
                TypeCode.UInt16 => Keys<ushort>(),
                TypeCode.UInt32 => Keys<uint>(),
                _ => Keys<ulong>(),
            };
        }
        return SequenceRows.Numbers(row, column, (int)Column.Type.Size);

        Action<List<float>> Keys<T>()
            where T : struct, IBinaryInteger<T>
        {
            ValueGetter<T> value = row.GetGetter<T>(column);
            T current = T.Zero;
            ulong count = Column.Type.KeyCount;
            return steps =>
            {
                value(ref current);
                ulong number = ulong.CreateTruncating(current); // zero is a missing one
                steps.Add(number > 0 && number <= count ? number - 1 : float.NaN);
            };
        }
    }

    /// <summary>How many numbers say what states emit.</summary>
    public long Numbers(HiddenMarkovOptions options) => options.States * (IsCategorical ? Categories
        : options.MixtureComponents * (long)StepWidth
            * (options.CovarianceType is CovarianceType.Full or CovarianceType.Tied ? StepWidth : 1));

    /// <summary>How many numbers a forecast has; zero where there is none.</summary>
    public long ForecastNumbers(HiddenMarkovOptions options) =>
        (options.ForecastColumnName ?? options.ForecastDeviationColumnName) is null ? 0
            : (long)options.ForecastHorizon * (IsCategorical ? Categories : StepWidth);

    /// <summary>Checks what came from a file.</summary>
    /// <exception cref="FormatException">It is not sound.</exception>
    public void Check(HiddenMarkovOptions options)
    {
        foreach (VectorSchemaColumn column in Group is null ? [Column] : (VectorSchemaColumn[])[Column, Group])
        {
            column.Type.Check();
            foreach (TableAnnotation annotation in column.Annotations)
                annotation.Check();
        }
        bool vectors = Column.Type is { Item: "Single", KeyCount: 0, Dimensions: not null };
        bool sound = (vectors || Column.Type.Dimensions is null && (IsText || Column.Type.KeyCount is > 0 and <= 1 << 20))
            && StepWidth is >= 1 and <= VectorInput.MaxWidth && (vectors ? Column.Type.Size % StepWidth == 0 : StepWidth == 1)
            && Column.Type.Size is >= 1 and <= VectorInput.MaxWidth
            && (RowsAreSequences ? Group is null && (vectors || IsText) : !IsText && (!vectors || Column.Type.Size == StepWidth))
            && (Group is null || Group.Type.Dimensions is null && GroupReader.CanRead(Group.Type.ToType()))
            && Symbols.Count < 1 << 21 && (IsText || Symbols.Count == 0) && Symbols.Distinct().Count() == Symbols.Count
            && Lengths.Count > 0 && Lengths.All(length => length > 0) && options.PseudoCount is not null
            && options.Parameters is null && Numbers(options) <= MaxNumbers && ForecastNumbers(options) <= VectorInput.MaxWidth;
        if (!sound)
            throw new FormatException("The saved model's input is not sound.");
    }

    /// <summary>The categories of a text's characters.</summary>
    public float[] Encode(string text, IReadOnlyDictionary<string, int> symbols) =>
        [.. text.EnumerateRunes().Select(rune => (float)symbols.GetValueOrDefault(rune.ToString(), Symbols.Count))];

    /// <summary>Which covariances are allowed; null until sequences have been seen.</summary>
    [JsonIgnore]
    public double[] Scale { get; init; } = [];

    public GaussianLimits Limits(HiddenMarkovOptions options) =>
        new(options.CovarianceType, Scale.Length > 0 ? Scale : [.. Enumerable.Repeat(1.0, StepWidth)], options.MinVariance);

    /// <summary>The model that given parameters are.</summary>
    /// <exception cref="InvalidOperationException">They do not fit the column.</exception>
    public HiddenMarkovModel ToModel(
        HiddenMarkovParameters given, HiddenMarkovOptions options, IReadOnlyList<float[]> sequences)
    {
        double[] start = [.. given.StartProbabilities], transitions = [.. given.TransitionProbabilities.SelectMany(r => r)];
        if (given.EmissionProbabilities is { } emitted)
        {
            if (!IsCategorical || emitted[0].Count != Categories || IsText && given.Symbols is null)
                throw Unfit(IsText ? "no symbols" : $"{emitted[0].Count} categories");
            return new(start, transitions, new CategoricalEmissions(
                [.. emitted.SelectMany(r => r)], Categories, options.PseudoCount!.Value));
        }
        HiddenMarkovComponent[] components = [.. given.Components!.SelectMany(c => c)];
        bool matrices = components.All(c => c.Covariance.Count == StepWidth);
        GaussianLimits limits = Limits(options);
        if (IsCategorical || components[0].Mean.Count != StepWidth
            || components.Any(c => c.Covariance.Count * c.Mean.Count != limits.Square))
        {
            throw Unfit($"means of {components[0].Mean.Count} features and covariances of "
                + $"{(matrices ? components[0].Mean.Count : 1)} rows");
        }
        return new(start, transitions, new GaussianEmissions(
            start.Length, [.. components.Select(c => c.Weight)], [.. components.SelectMany(c => c.Mean)],
            [.. components.SelectMany(c => c.Covariance.SelectMany(r => r))], limits));

        InvalidOperationException Unfit(string found) => new(
            $"Option {nameof(options.Parameters)} has {found}, which do not fit column '{Column.Name}': expected "
            + (IsText ? "symbols and a probability for each and for all others."
                : IsCategorical ? $"probabilities of {Categories} categories."
                : $"means of {StepWidth} features, and {options.CovarianceType} covariances of "
                    + $"{(Limits(options).HasMatrices ? StepWidth : 1)} rows."));
    }

    /// <summary>The parameters that a model has.</summary>
    public HiddenMarkovParameters ToParameters(HiddenMarkovModel model)
    {
        int k = model.States;
        var parameters = new HiddenMarkovParameters
        {
            StartProbabilities = model.Start,
            TransitionProbabilities = Rows(model.Transitions, k),
        };
        if (model.Emissions is CategoricalEmissions categorical)
        {
            return parameters with
            {
                EmissionProbabilities = Rows(categorical.Probabilities, Categories),
                Symbols = IsText ? Symbols : null,
            };
        }
        var gaussian = (GaussianEmissions)model.Emissions;
        int square = gaussian.Covariances.Length / gaussian.Weights.Length;
        HiddenMarkovComponent[] components =
        [
            .. gaussian.Weights.Select((weight, c) => new HiddenMarkovComponent(
                weight, gaussian.Means[(c * StepWidth)..((c + 1) * StepWidth)],
                Rows(gaussian.Covariances[(c * square)..((c + 1) * square)], StepWidth))),
        ];
        return parameters with { Components = [.. components.Chunk(components.Length / k)] };

        static IReadOnlyList<IReadOnlyList<double>> Rows(double[] matrix, int width) => [.. matrix.Chunk(width)];
    }

    private static void RefuseGroup(HiddenMarkovOptions options, InputKind kind)
    {
        if (options.GroupColumnName is not null && kind == InputKind.Text)
            throw new InvalidOperationException(
                $"Option {nameof(options.GroupColumnName)} is set, but each text of column '{options.FeatureColumnName}' is a "
                + "sequence by itself.");
    }
}
