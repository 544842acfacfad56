using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>A function over batches of rows, with the columns that go in and come out; called on any thread.</summary>
internal interface IBatchModel : IDisposable
{
    /// <summary>The input columns, by name, with the element type and width that the model was trained on.</summary>
    IReadOnlyList<RowField> Inputs { get; }

    /// <summary>The output columns, in the order in which they are added to the schema.</summary>
    IReadOnlyList<OutputColumn> Outputs { get; }

    /// <summary>How many rows are worth computing at once.</summary>
    int BatchSize { get; }

    /// <summary>How many batches may be computed before anybody asks for them; none where they cost much.</summary>
    int BatchesAhead => 0;

    /// <summary>What takes the place of NaN and infinity; null: the outputs of such rows say "not known".</summary>
    NonFiniteReplacement? Replacement { get; }

    /// <summary>Whether rows with NaN and infinity are computed as they are.</summary>
    bool TakesNonFinite => false;

    /// <summary>
    /// Computes the wanted outputs of so many rows, each from that row alone. Inputs are finite, unless it takes others.
    /// </summary>
    void Run(RowBlock inputs, int rows, OutputBlock outputs);
}

/// <summary>What is wrong with one row of a batch, by its number there, and which column it is about.</summary>
internal sealed class RowException(int row, string column, Exception cause)
    : InvalidOperationException($"column '{column}': {cause.Message}", cause)
{
    /// <summary>The same for whoever knows the number of the batch's first row.</summary>
    public InvalidOperationException Of(long first) =>
        new($"Row {first + row} (counted from 0), {Message}", InnerException);
}

/// <summary>Batches through the model: rows in, a computation each, getters; rows of all are counted on.</summary>
internal sealed class BatchComputation(
    BatchRowMapper mapper, DataViewRow input, bool[] active, int capacity, int batches = 1,
    Func<int, Delegate?>? getter = null)
{
    private readonly IBatchModel _model = mapper.Model;

    // Values come from other getters than the input's where those are given, by column.
    private readonly FieldReader[] _readers =
    [
        .. mapper.ModelInputs.Zip(mapper.Model.Inputs, (column, field) => FieldReaders.Open(
            input, input.Schema[column.Index], field, getter?.Invoke(column.Index))),
    ];

    private readonly RowBlock[] _inputs =
        [.. Enumerable.Range(0, batches).Select(_ => new RowBlock(mapper.Model.Inputs, capacity))];

    private readonly OutputBlock _outputs =
        new(mapper.Model.Outputs, active[mapper.InputSchema.Count..], batches * capacity);

    private readonly bool[] _unknown = new bool[batches * capacity];

    /// <summary>Reads the model's inputs into row <paramref name="row"/> of a batch.</summary>
    public void ReadRow(int batch, int row)
    {
        RowBlock inputs = _inputs[batch];
        ref bool unknown = ref _unknown[batch * capacity + row];
        unknown = false;
        for (int f = 0; f < _readers.Length; f++)
        {
            if (_readers[f](inputs, f, row) || _model.TakesNonFinite)
                continue;
            Span<float> values = inputs.SingleRow(f, row);
            if (_model.Replacement is NonFiniteReplacement replacement)
            {
                replacement.Apply(f, values);
            }
            else
            {
                // The model sees harmless zeros instead, which keeps the row from disturbing its neighbours.
                values.Clear();
                unknown = true;
            }
        }
    }

    /// <summary>Computes all wanted outputs of the first <paramref name="rows"/> rows of a batch.</summary>
    public void Run(int batch, int rows)
    {
        OutputBlock outputs = _outputs.Part(batch * capacity, capacity);
        _model.Run(_inputs[batch], rows, outputs);
        for (int row = 0; row < rows; row++)
        {
            if (_unknown[batch * capacity + row])
                outputs.SetUnknown(row);
        }
    }

    /// <summary>A getter for an output of the row, counted over all batches, where a reader stands.</summary>
    public Delegate Getter(int output, IBatchPosition at) => _outputs.Getter(output, at);
}

/// <summary>Host memory for the outputs of rows: a dense, row-major array for each that somebody asked for.</summary>
internal sealed class OutputBlock
{
    private readonly IReadOnlyList<OutputColumn> _columns;
    private readonly Array?[] _storage;
    private readonly int _first, _capacity; // the row of the storage that is the first one here, and how many there are

    public OutputBlock(IReadOnlyList<OutputColumn> columns, IReadOnlyList<bool> wanted, int capacity)
        : this(
            columns,
            [.. columns.Select((c, i) => wanted[i] ? Allocate(c.Kind, checked(capacity * WidthOf(c))) : null)],
            0, capacity)
    {
    }

    private OutputBlock(IReadOnlyList<OutputColumn> columns, Array?[] storage, int first, int capacity) =>
        (_columns, _storage, _first, _capacity) = (columns, storage, first, capacity);

    /// <summary>Whether output <paramref name="column"/> is to be computed.</summary>
    public bool IsWanted(int column) => _storage[column] is not null;

    /// <summary>The number of an output; −1 where there is none of that name, or nobody wants it.</summary>
    public int NumberOf(string? name)
    {
        int column = _columns.Count - 1;
        while (column >= 0 && (_columns[column].Name != name || !IsWanted(column)))
            column--;
        return column;
    }

    /// <summary>Some neighbouring rows, in the same memory.</summary>
    public OutputBlock Part(int first, int rows) => new(_columns, _storage, _first + first, rows);

    /// <summary>The values of a wanted Single output, (rows × width).</summary>
    public Span<float> Singles(int column) => Values<float>(column).Span;

    /// <summary>The same, for work that is split among threads.</summary>
    public Memory<float> SingleMemory(int column) => Values<float>(column);

    /// <summary>The values of a wanted Boolean output, (rows × width).</summary>
    public Span<bool> Booleans(int column) => Values<bool>(column).Span;

    /// <summary>The values of a wanted Key output, (rows × width).</summary>
    public Span<uint> Keys(int column) => Values<uint>(column).Span;

    /// <summary>The values of a wanted Text output, (rows × width).</summary>
    public Span<string> Texts(int column) => Values<string>(column).Span;

    /// <summary>Gives one row the outputs that say "not known": NaN, no key, empty text, and what a Boolean says then.</summary>
    public void SetUnknown(int row)
    {
        for (int i = 0; i < _storage.Length; i++)
        {
            int width = WidthOf(_columns[i]), at = (_first + row) * width;
            if (_storage[i] is float[] singles)
                Array.Fill(singles, float.NaN, at, width);
            else if (_storage[i] is bool[] booleans)
                Array.Fill(booleans, _columns[i].IfUnknown, at, width);
            else if (_storage[i] is uint[] keys)
                Array.Clear(keys, at, width);
            else if (_storage[i] is string[] texts)
                Array.Fill(texts, "", at, width);
        }
    }

    /// <summary>A getter for an output of the row where a reader stands.</summary>
    public Delegate Getter(int output, IBatchPosition at)
    {
        int width = _columns[output].Width;
        return (_storage[output], width > 0) switch
        {
            (float[] pixels, _) when _columns[output].Image is { } image => (ValueGetter<MLImage>)((ref MLImage value) =>
                value = ImagePixels.ToImage(pixels.AsSpan((_first + at.Row) * width, width), image.Shape!)!),
            (float[] singles, false) => (ValueGetter<float>)((ref float value) => value = singles[_first + at.Row]),
            (bool[] booleans, false) => (ValueGetter<bool>)((ref bool value) => value = booleans[_first + at.Row]),
            (uint[] keys, false) => (ValueGetter<uint>)((ref uint value) => value = keys[_first + at.Row]),
            (string[] texts, false) => (ValueGetter<ReadOnlyMemory<char>>)((ref ReadOnlyMemory<char> value) =>
                value = texts[_first + at.Row].AsMemory()),
            (float[] singles, true) => (ValueGetter<VBuffer<float>>)((ref VBuffer<float> value) =>
                VBuffer<float>.Copy(singles, (_first + at.Row) * width, ref value, width)),
            (string[] texts, true) => (ValueGetter<VBuffer<ReadOnlyMemory<char>>>)((ref VBuffer<ReadOnlyMemory<char>> value) =>
            {
                VBufferEditor<ReadOnlyMemory<char>> editor = VBufferEditor.Create(ref value, width);
                for (int i = 0; i < width; i++)
                    editor.Values[i] = texts[(_first + at.Row) * width + i].AsMemory();
                value = editor.Commit();
            }),
            _ => throw new NotSupportedException($"Output column '{_columns[output].Name}' is a vector of neither numbers nor texts."),
        };
    }

    private static Array Allocate(OutputKind kind, int size) => kind switch
    {
        OutputKind.Single or OutputKind.Image => new float[size],
        OutputKind.Boolean => new bool[size],
        OutputKind.Key => new uint[size],
        _ => new string[size],
    };

    private static int WidthOf(OutputColumn column) => Math.Max(1, column.Width);

    private Memory<T> Values<T>(int column)
    {
        int width = WidthOf(_columns[column]);
        return ((T[])_storage[column]!).AsMemory(_first * width, _capacity * width);
    }
}
