using System.Globalization;
using System.Numerics;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>The rows of one call of Generate on a generator of vectors: one seed, one condition.</summary>
internal sealed class GeneratedVectors : IGeneratedRows
{
    private const int MaxRows = 1024;
    private const int MinRows = 16;
    private const int MaxValues = 1 << 20;

    private readonly VectorModelState _state;
    private readonly int _seed;
    private readonly float[] _given;
    private readonly float[]? _features;
    private readonly FeatureSampler? _sample; // where the network has one for features that are given
    private readonly (int Seed, float[] Shares)? _mix;
    private readonly LatentPath? _path;

    /// <summary>
    /// Rows that meet a condition, and have some features, (D), as they are given, NaN where they are free; null: none. A mix
    /// names the seed of other rows, and how much each layer has of their style. With a path, rows are those along it.
    /// </summary>
    public GeneratedVectors(
        VectorModelState state, DataViewSchema schema, int seed, RowCondition? where, float[]? features = null,
        (int Seed, float[] Shares)? mix = null, LatentPath? path = null)
    {
        (_state, Schema, _seed, _mix, _path) = (state, schema, seed, mix, path);
        _given = VectorCondition.Resolve(where, state);
        _features = VectorCondition.ResolveFeatures(where, state);
        if (_features is not null && features is not null)
            throw new ArgumentException($"The condition {where} names features, and they are given beside it.", nameof(where));
        _features ??= features;
        if (_features is not null && state.Model.Network is IConditionalSampler)
            _sample = state.Model.Given(_features);
        BlockRows = Math.Clamp(
            MaxValues / state.Fields.Sum(f => f.Width), MinRows, (state.Model.Network as IDenoiser)?.GeneratedAtOnce ?? MaxRows);
        if (path is not null)
            BlockRows = Math.Min(BlockRows, path.Rows);
    }

    public DataViewSchema Schema { get; }

    public int BlockRows { get; }

    /// <summary>The first rows as they are before the first step and after each, (rows × D), of a network that makes them so.</summary>
    public IReadOnlyList<float[]> Steps(int rows)
    {
        if (rows < 1 || rows > BlockRows)
            throw new ArgumentOutOfRangeException(nameof(rows), rows, $"The number of rows is {rows}; 1 to {BlockRows} are shown at once.");
        var steps = new List<float[]>();
        float[] made = new float[rows * _state.Fields[0].Width], conditions = new float[rows * _state.Fields.Skip(1).Sum(f => f.Width)];
        _state.Model.Generate(
            made, conditions, rows, SplitMix64.Derive(_seed, RandomPurpose.Generation, 0), _given, _features,
            _state.Options.RowSampling, steps.Add);
        steps[^1] = made; // exactly: what is given, and what lies far out
        return steps;
    }

    // How a block of rows is made.
    private IRowSampling? Sampling(long block) => _state.Options.RowSampling is GanSampling gan && _mix is (int other, float[] shares)
        ? gan with { Mix = (SplitMix64.Derive(other, RandomPurpose.Generation, block), shares) }
        : _state.Options.RowSampling;

    public IGeneratedBlock Open() => new Block(this, _state, _seed);

    private sealed class Block(GeneratedVectors source, VectorModelState state, int seed) : IGeneratedBlock
    {
        private readonly int _conditionWidth = state.Fields.Skip(1).Sum(f => f.Width);
        private readonly float[] _rows = new float[source.BlockRows * state.Fields[0].Width];
        private readonly float[] _conditions = new float[source.BlockRows * state.Fields.Skip(1).Sum(f => f.Width)];

        public int Compute(long number, int row, int wanted)
        {
            // Step by step takes long: as few rows as are read.
            int rows = state.Model.Network is IDenoiser ? wanted : source.BlockRows;
            ulong own = SplitMix64.Derive(seed, RandomPurpose.Generation, number);
            if (source._path is { } path)
                state.Model.Decode(_rows, _conditions, path.Latents(number * rows, rows), rows, source._given);
            else if (source._sample is { } sample)
                sample(_rows, own);
            else
                state.Model.Generate(
                    _rows, _conditions, rows, own, source._given, source._features, source.Sampling(number));
            return rows;
        }

        public Delegate Getter(int column, IBatchPosition at)
        {
            int number = state.Schema.Order[column];
            RowField field = state.Fields[number];
            int width = field.Width;
            if (number == 0 && field.Image is { IsPicture: true } image)
            {
                return (ValueGetter<MLImage>)((ref MLImage value) =>
                    value = ImagePixels.ToImage(_rows.AsSpan(at.Row * width, width), image.Shape!)!);
            }
            if (number == 0)
            {
                return (ValueGetter<VBuffer<float>>)((ref VBuffer<float> value) =>
                    VBuffer<float>.Copy(_rows, at.Row * width, ref value, width));
            }
            int first = state.Fields.Skip(1).Take(number - 1).Sum(f => f.Width);
            return source.Schema[column].Type switch
            {
                TextDataViewType => (ValueGetter<ReadOnlyMemory<char>>)((ref ReadOnlyMemory<char> value) =>
                    value = field.Caption!.Decode(Slots()).AsMemory()),
                BooleanDataViewType => (ValueGetter<bool>)((ref bool value) => value = Slots()[0] >= 0.5f),
                KeyDataViewType key when key.RawType == typeof(byte) => Key<byte>(),
                KeyDataViewType key when key.RawType == typeof(ushort) => Key<ushort>(),
                KeyDataViewType key when key.RawType == typeof(uint) => Key<uint>(),
                KeyDataViewType => Key<ulong>(),
                _ when field.Categories is { } categories => (ValueGetter<float>)((ref float value) =>
                    value = Slots().IndexOf(1f) is >= 0 and int category ? categories[category] : float.NaN),
                _ => (ValueGetter<float>)((ref float value) => value = Slots()[0]),
            };

            ReadOnlySpan<float> Slots() => _conditions.AsSpan(at.Row * _conditionWidth + first, width);

            ValueGetter<T> Key<T>()
                where T : struct, IBinaryInteger<T> =>
                (ref T value) => value = T.CreateTruncating(Slots().IndexOf(1f) + 1); // zero is a missing key
        }
    }
}

/// <summary>Latent vectors in even steps on the straight line from one to another, (Z) each, so many with both ends.</summary>
internal sealed record LatentPath(float[] From, float[] To, int Rows)
{
    /// <summary>Some of them, (count × Z); beyond the last comes the last again.</summary>
    public float[] Latents(long first, int count)
    {
        float[] latents = new float[count * From.Length];
        for (int row = 0; row < count; row++)
        {
            double share = Math.Min(1, (first + row) / (Rows - 1.0));
            for (int i = 0; i < From.Length; i++)
                latents[row * From.Length + i] = (float)(From[i] * (1 - share) + To[i] * share);
        }
        return latents;
    }
}

/// <summary>Turns a condition on columns into what a generator of vectors is given.</summary>
internal static class VectorCondition
{
    /// <summary>The conditions that all rows have, slot by slot: NaN where they are free. Empty for none.</summary>
    public static float[] Resolve(RowCondition? where, VectorModelState state)
    {
        if (where is null || where.Columns.Length == 0)
            return [];
        RowField[] fields = [.. state.Fields];
        float[] means = state.Model.ConditionMeans, slots = new float[means.Length];
        Array.Fill(slots, float.NaN);
        foreach (ColumnCondition condition in where.Columns)
        {
            int column = Array.FindLastIndex(fields, f => f.Name == condition.Column);
            if (column < 1 && TakesFeatures(state))
                continue; // a feature, or an error there
            if (column < 1)
            {
                throw Impossible(
                    $"The condition {condition} cannot be met: this model has "
                    + (fields.Length > 1
                        ? $"the condition columns {string.Join(", ", fields.Skip(1).Select(f => $"'{f.Name}'"))}."
                        : "no condition columns; train it with the option ConditionColumnNames."));
            }
            if (condition.Values is not SomeValues { Values: [object wanted] })
            {
                throw Impossible(
                    $"The condition {condition} is none that this model knows: conditions on its label columns are "
                    + "single values.");
            }
            int first = fields[1..column].Sum(f => f.Width), width = fields[column].Width;
            Span<float> target = slots.AsSpan(first, width);
            float[] asked = Slots(
                state.Schema.Columns[column], fields[column], condition, wanted, means.AsSpan(first, width));
            if (!float.IsNaN(target[0]) && !target.SequenceEqual(asked))
            {
                throw Impossible(
                    $"No row can meet the condition {where}: it asks for two values of column '{condition.Column}'.");
            }
            asked.CopyTo(target);
        }
        return slots;
    }

    /// <summary>
    /// The features of the vector that all rows have, (D), NaN where they are free: asked for by the vector's name and the
    /// feature's own or its number, as <c>Features.3</c>. Null where none is.
    /// </summary>
    public static float[]? ResolveFeatures(RowCondition? where, VectorModelState state)
    {
        ColumnCondition[] conditions =
            [.. (where?.Columns ?? []).Where(c => state.Fields.Skip(1).All(field => field.Name != c.Column))];
        if (conditions.Length == 0 || !TakesFeatures(state))
            return null;
        VectorSchemaColumn vector = state.Schema.Columns[0];
        IReadOnlyList<string?> names = vector.Annotations.FirstOrDefault(a => a.Name == "SlotNames")?.Values.Texts ?? [];
        float[] features = new float[state.Fields[0].Width];
        Array.Fill(features, float.NaN);
        foreach (ColumnCondition condition in conditions)
        {
            string feature = condition.Column.StartsWith(vector.Name + ".", StringComparison.Ordinal)
                ? condition.Column[(vector.Name.Length + 1)..] : "";
            int slot = feature.Length == 0 ? -1 : names.ToList().IndexOf(feature);
            if (slot < 0 && !(int.TryParse(feature, NumberStyles.None, CultureInfo.InvariantCulture, out slot) && slot < features.Length))
                throw Impossible(
                    $"The condition {condition} cannot be met: this model has no such feature. They are '{vector.Name}.0' to "
                    + $"'{vector.Name}.{features.Length - 1}', or are named by the vector's slots.");
            if (condition.Values is not SomeValues { Values: [double wanted] } || !float.IsFinite((float)wanted))
                throw Impossible($"The condition {condition} is none that this model knows: a feature is given by one number.");
            float value = (float)wanted;
            if (state.Model.Features.IsConstant(slot) && value != state.Model.Features.Mean(slot))
                throw Impossible($"The condition {condition} cannot be met: all training rows have {state.Model.Features.Mean(slot).ToString(CultureInfo.InvariantCulture)} there.");
            if (!float.IsNaN(features[slot]) && features[slot] != value)
                throw Impossible($"No row can meet the condition {where}: it asks for two values of '{condition.Column}'.");
            features[slot] = value;
        }
        return features;
    }

    private static bool TakesFeatures(VectorModelState state) => state.Model.Network is IConditionalSampler or IDenoiser;

    private static float[] Slots(
        VectorSchemaColumn column, RowField field, ColumnCondition condition, object wanted, ReadOnlySpan<float> means)
    {
        if (field.Caption is { } format)
        {
            float[] tokens = new float[format.Window];
            string caption = wanted as string
                ?? throw Impossible($"The condition {condition} is none that this model knows: a caption is given by its text.");
            return format.TryEncode(caption, tokens)
                ? tokens
                : throw Impossible($"The condition {condition} cannot be met: {format.Refusal(caption)}.");
        }
        bool category = field.Categories is not null && wanted is double;
        if (category || column.Type.KeyCount > 0 && wanted is not bool)
        {
            int key = category
                ? field.Categories!.Select(value => (double)value).ToList().IndexOf((double)wanted)
                : KeyOf(column, wanted);
            if (key < 0 || key >= field.Width || means[key] == 0)
                throw Unseen();
            float[] slots = new float[field.Width];
            slots[key] = 1;
            return slots;
        }
        return (column.Type.Item, wanted) switch
        {
            ("Boolean", bool truth) when means[0] != (truth ? 0 : 1) => [truth ? 1 : 0],
            ("Boolean", bool) => throw Unseen(),
            ("Single", double number) when float.IsFinite((float)number) => [(float)number],
            _ => throw Impossible($"The condition {condition} cannot be met: the column holds {column.Type.ToType()}."),
        };

        ArgumentException Unseen() =>
            Impossible($"The condition {condition} cannot be met: no training row has this value.");
    }

    /// <summary>The number of a key's value, counted from zero; −1 for none.</summary>
    private static int KeyOf(VectorSchemaColumn column, object wanted)
    {
        if (wanted is string text)
            return column.Keys?.Texts?.ToList().IndexOf(text) ?? -1;
        double number = (double)wanted;
        if (column.Keys is TableValues keys)
            return keys.Numbers?.ToList().IndexOf(number) ?? -1;
        // Without values, keys are told by their own numbers, counted from one.
        return number >= 1 && number <= int.MaxValue && number % 1 == 0 ? (int)number - 1 : -1;
    }

    private static ArgumentException Impossible(string message) => new(message);
}

/// <summary>The columns that a generator of vectors was trained on, as ML.NET sees them.</summary>
internal sealed record VectorSchema
{
    /// <summary>The vector first, then the conditions.</summary>
    public required IReadOnlyList<VectorSchemaColumn> Columns { get; init; }

    /// <summary>The label of a classifier, which is not generated.</summary>
    public VectorSchemaColumn? Class { get; init; }

    /// <summary>For each place in the generated schema, the number of the column there.</summary>
    public required IReadOnlyList<int> Order { get; init; }

    /// <summary>Takes the columns of the training data, the vector first, a label last; of images their numbers.</summary>
    public static VectorSchema Of(IReadOnlyList<DataViewSchema.Column> columns, ImageFormat? images, bool labelled)
    {
        VectorSchemaColumn[] all =
        [
            .. columns.Select((c, i) => new VectorSchemaColumn
            {
                Name = c.Name,
                Type = TableType.Of(i == 0 && images is { IsPicture: true } ? (images with { IsPicture = false }).Type : c.Type)!,
                Annotations = TableAnnotation.All(c.Annotations, c.Name),
            }),
        ];
        int generated = columns.Count - (labelled ? 1 : 0);
        return new()
        {
            Columns = all[..generated],
            Class = labelled ? all[^1] : null,
            Order = [.. Enumerable.Range(0, generated).OrderBy(c => columns[c].Index)],
        };
    }

    /// <summary>The schema of generated rows, type for type and annotation for annotation.</summary>
    public DataViewSchema ToSchema(ImageFormat? images)
    {
        var builder = new DataViewSchema.Builder();
        foreach (int c in Order)
        {
            DataViewType type = c == 0 && images is { IsPicture: true } ? images.Type : Columns[c].Type.ToType();
            builder.AddColumn(Columns[c].Name, type, TableAnnotation.Build(Columns[c].Annotations));
        }
        return builder.ToSchema();
    }

    /// <summary>Checks the label of a schema that came from a file against the classes of the model.</summary>
    public void CheckClass(int classes, string? column)
    {
        Class?.Type.Check();
        foreach (TableAnnotation annotation in Class?.Annotations ?? [])
            annotation.Check();
        if ((ulong)classes != (Class?.Type.KeyCount ?? 0) || Class?.Name != column)
            throw new FormatException("The saved model's label does not fit its classes.");
    }

    /// <summary>Checks a schema that came from a file against the fields of the model that came with it.</summary>
    public void Check(IReadOnlyList<RowField> fields)
    {
        foreach (VectorSchemaColumn column in Columns)
        {
            column.Type.Check();
            foreach (TableAnnotation annotation in column.Annotations)
                annotation.Check();
        }
        bool sound = Columns.Count == fields.Count
            && Columns.Zip(fields).All(pair => pair.First.Fits(pair.Second))
            && Order.Order().SequenceEqual(Enumerable.Range(0, Columns.Count));
        if (!sound)
            throw new FormatException("The saved model's columns do not fit its networks.");
    }
}

/// <summary>A column of a <see cref="VectorSchema"/>.</summary>
internal sealed record VectorSchemaColumn
{
    private const string KeyValues = "KeyValues";

    public required string Name { get; init; }

    public required TableType Type { get; init; }

    public required IReadOnlyList<TableAnnotation> Annotations { get; init; }

    /// <summary>What is known of a label before there is data: its annotations by their types alone.</summary>
    public static VectorSchemaColumn Promise(SchemaShape.Column label) => new()
    {
        Name = label.Name,
        Type = new(TableType.Of(label.ItemType)!.Item, KeyCount: 1),
        Annotations =
        [
            .. label.Annotations.Where(a => a.Name == KeyValues && TableType.Of(a.ItemType) is not null).Select(a =>
            {
                TableType item = TableType.Of(a.ItemType)!;
                bool text = TableItem.Named(item.Item).IsText;
                return new TableAnnotation(
                    KeyValues, item with { Dimensions = [1] }, text ? new() { Texts = [""] } : new() { Numbers = [0] });
            }),
        ],
    };

    /// <summary>The values of a key, where they are known.</summary>
    public TableValues? Keys => Type.KeyCount > 0
        ? Annotations.FirstOrDefault(a => a.Name == KeyValues && (ulong)a.Values.Count == Type.KeyCount)?.Values
        : null;

    /// <summary>Whether a model's field is what is read of such a column.</summary>
    public bool Fits(RowField field)
    {
        bool vector = Type.Dimensions is not null;
        bool number = Type.KeyCount == 0 && Type.Item is "Single" || !vector && Type.Item == "Boolean";
        long slots = Type.KeyCount > 0 ? (long)Math.Min(Type.KeyCount, long.MaxValue)
            : field.Caption is { } caption ? caption.Window
            : field.Categories is { } categories && Type.Item == "Single" ? categories.Count
            : Type.Size;
        bool text = !vector && Type.Item == "Text" && field.Caption is not null;
        return Name == field.Name && vector != field.IsCondition && (number || text || !vector && Type.KeyCount > 0)
            && slots == field.Width;
    }
}
