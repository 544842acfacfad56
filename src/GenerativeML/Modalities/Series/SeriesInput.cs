using System.Text.Json.Serialization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>What a model of series reads, as saved: the column, what tells series apart, and what a step is.</summary>
internal sealed record SeriesInput
{
    private const int MaxLengths = 1000;

    /// <summary>The column with its type and annotations.</summary>
    public required VectorSchemaColumn Column { get; init; }

    /// <summary>The column that tells series apart, without annotations; null for one series, or one in each row.</summary>
    public VectorSchemaColumn? Group { get; init; }

    /// <summary>Features of a step, C.</summary>
    public required int StepWidth { get; init; }

    /// <summary>Whether each row is a whole series.</summary>
    public required bool RowsAreSeries { get; init; }

    /// <summary>How many steps some of the training series had.</summary>
    public IReadOnlyList<int> Lengths { get; init; } = [];

    /// <summary>Numbers of a row.</summary>
    [JsonIgnore]
    public int RowWidth => (int)Column.Type.Size;

    /// <summary>What an expected row's column has: zero where it is a number.</summary>
    [JsonIgnore]
    public int OutputWidth => Column.Type.Dimensions is null ? 0 : RowWidth;

    /// <summary>The column as the row mapper finds it.</summary>
    [JsonIgnore]
    public RowField Field => new(Column.Name, FieldKind.Single, RowWidth) { IsSeries = true };

    /// <summary>Finds the columns that options name.</summary>
    public static SeriesInput Of(DataViewSchema schema, SeriesOptions options, string parameter)
    {
        InputKind kind = options.FeaturesPerStep is null ? InputKind.Series : InputKind.Vector;
        RowField field = InputColumns.Describe(schema, options.FeatureColumnName, kind, parameter);
        if (options.FeaturesPerStep is int each && field.Width % each != 0)
        {
            throw new InvalidOperationException(
                $"Column '{options.FeatureColumnName}' has {field.Width} features, which are no whole number of steps of "
                + $"{each} features each, as option {nameof(options.FeaturesPerStep)} says.");
        }
        return new()
        {
            Column = Described(schema[options.FeatureColumnName], annotated: true),
            Group = options.GroupColumnName is null
                ? null : Described(SequenceRows.FindGroup(schema, options.GroupColumnName, parameter), annotated: false),
            StepWidth = options.FeaturesPerStep ?? field.Width,
            RowsAreSeries = options.FeaturesPerStep is not null,
        };

        static VectorSchemaColumn Described(DataViewSchema.Column c, bool annotated) => new()
        {
            Name = c.Name,
            Type = TableType.Of(c.Type)!,
            Annotations = annotated ? TableAnnotation.All(c.Annotations, c.Name) : [],
        };
    }

    /// <summary>The same checks where only a schema's shape is known.</summary>
    public static void Check(SchemaShape shape, SeriesOptions options, string parameter)
    {
        InputColumns.Check(
            shape, options.FeatureColumnName, options.FeaturesPerStep is null ? InputKind.Series : InputKind.Vector, parameter);
        if (options.GroupColumnName is string group)
            SequenceRows.CheckGroup(shape, group, parameter);
    }

    /// <summary>The input with what is to be known of the training series.</summary>
    public SeriesInput With(IReadOnlyList<float[]> series)
    {
        int stride = (series.Count + MaxLengths - 1) / MaxLengths;
        return this with { Lengths = [.. series.Where((_, i) => i % stride == 0).Select(s => s.Length / StepWidth)] };
    }

    /// <summary>Checks what came from a file.</summary>
    /// <exception cref="FormatException">It is not sound.</exception>
    public void Check(SeriesOptions options)
    {
        foreach (VectorSchemaColumn column in Group is null ? [Column] : (VectorSchemaColumn[])[Column, Group])
        {
            column.Type.Check();
            foreach (TableAnnotation annotation in column.Annotations)
                annotation.Check();
        }
        bool sound = Column.Type is { Item: "Single", KeyCount: 0 } && Column.Type.Size is >= 1 and <= VectorInput.MaxWidth
            && Column.Name == options.FeatureColumnName && Group?.Name == options.GroupColumnName
            && RowsAreSeries == options.FeaturesPerStep is not null
            && StepWidth == (options.FeaturesPerStep ?? RowWidth) && RowWidth % StepWidth == 0
            && (!RowsAreSeries || Column.Type.Dimensions is not null)
            && (Group is null || Group.Type.Dimensions is null && GroupReader.CanRead(Group.Type.ToType()))
            && Lengths.Count is > 0 and <= MaxLengths && Lengths.All(length => length > 0);
        if (!sound)
            throw new FormatException("The saved model's input is not sound.");
    }
}

/// <summary>A series as networks see it: standardised, (T × C), zeros where it was not observed; and where it was, (T).</summary>
internal sealed record SeriesSteps(float[] Values, float[] Observed)
{
    /// <summary>T.</summary>
    public int Length => Observed.Length;

    /// <summary>Steps of (T × C) in the units of the data; one that is not finite was not observed.</summary>
    public static SeriesSteps Of(ReadOnlySpan<float> raw, VectorScaler scaler)
    {
        int width = scaler.Width;
        float[] values = raw.ToArray(), observed = new float[values.Length / width];
        for (int t = 0; t < observed.Length; t++)
        {
            Span<float> step = values.AsSpan(t * width, width);
            observed[t] = step.ContainsAnyExceptInRange(float.MinValue, float.MaxValue) ? 0 : 1;
            if (observed[t] == 0)
                scaler.Means.CopyTo(step);
        }
        scaler.Apply(values, values);
        return new(values, observed);
    }

    /// <summary>
    /// Copies the window that begins at a step, before the first one maybe, (W × C) and (W): what lies outside the series
    /// was not observed.
    /// </summary>
    public void CopyWindow(int start, Span<float> values, Span<float> observed)
    {
        int width = Values.Length / Length, first = Math.Max(0, -start), end = Math.Min(observed.Length, Length - start);
        values.Clear();
        observed.Clear();
        if (first >= end)
            return;
        Values.AsSpan((start + first) * width, (end - first) * width).CopyTo(values[(first * width)..]);
        Observed.AsSpan(start + first, end - first).CopyTo(observed[first..]);
    }
}

/// <summary>Windows of series as training rows: their steps, (W·C), and which were observed, (W).</summary>
internal sealed class SeriesWindowRows(IReadOnlyList<SeriesSteps> series, (int Series, int Start)[] windows, int length, int width)
    : IRowSource
{
    public IReadOnlyList<RowField> Fields { get; } =
        [new("steps", FieldKind.Single, length * width), new("observed", FieldKind.Single, length)];

    public IRowReader Open() => new Reader(this);

    private sealed class Reader(SeriesWindowRows source) : IRowReader
    {
        private int _next;

        public int Read(RowBlock block, int start, int count)
        {
            (SeriesWindowRows rows, int read) = (source, 0);
            for (; read < count && _next < rows.Count; read++)
            {
                (int number, int first) = rows[_next++];
                rows.Steps(number).CopyWindow(first, block.SingleRow(0, start + read), block.SingleRow(1, start + read));
            }
            return read;
        }

        public void Dispose()
        {
            // There is nothing but managed memory.
        }
    }

    private int Count => windows.Length;

    private (int Series, int Start) this[int row] => windows[row];

    private SeriesSteps Steps(int number) => series[number];
}
