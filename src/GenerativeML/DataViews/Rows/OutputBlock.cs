using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// Host memory for the outputs of a batch: one dense, row-major array for each output that somebody asked for.
/// </summary>
internal sealed class OutputBlock
{
    private readonly Array?[] _storage;
    private readonly int _first; // the row of the storage that is the first one here

    public OutputBlock(IReadOnlyList<OutputColumn> columns, IReadOnlyList<bool> wanted, int capacity)
    {
        Columns = columns;
        Capacity = capacity;
        _storage = new Array?[columns.Count];
        for (int i = 0; i < columns.Count; i++)
        {
            if (!wanted[i])
                continue;
            int size = checked(capacity * WidthOf(i));
            _storage[i] = columns[i].Kind switch
            {
                OutputKind.Single => new float[size],
                OutputKind.Boolean => new bool[size],
                _ => new string[size],
            };
        }
    }

    private OutputBlock(OutputBlock whole, int first, int capacity)
    {
        _storage = whole._storage;
        _first = whole._first + first;
        Columns = whole.Columns;
        Capacity = capacity;
    }

    public IReadOnlyList<OutputColumn> Columns { get; }

    /// <summary>The number of rows there is room for.</summary>
    public int Capacity { get; }

    /// <summary>Whether output <paramref name="column"/> is to be computed.</summary>
    public bool IsWanted(int column) => _storage[column] is not null;

    /// <summary>Some neighbouring rows, in the same memory.</summary>
    public OutputBlock Part(int first, int rows) => new(this, first, rows);

    /// <summary>The values of a wanted Single output, (Capacity × width).</summary>
    public Span<float> Singles(int column) => Values<float>(column).Span;

    /// <summary>The same, for work that is split among threads.</summary>
    public Memory<float> SingleMemory(int column) => Values<float>(column);

    /// <summary>The values of a wanted Boolean output, (Capacity × width).</summary>
    public Span<bool> Booleans(int column) => Values<bool>(column).Span;

    /// <summary>The values of a wanted Text output, (Capacity × width).</summary>
    public Span<string> Texts(int column) => Values<string>(column).Span;

    /// <summary>Gives one row the outputs that say "not known": NaN, empty text, and what a Boolean says then.</summary>
    public void SetUnknown(int row)
    {
        for (int i = 0; i < _storage.Length; i++)
        {
            int width = WidthOf(i), at = (_first + row) * width;
            switch (_storage[i])
            {
                case float[] singles:
                    Array.Fill(singles, float.NaN, at, width);
                    break;
                case bool[] booleans:
                    Array.Fill(booleans, Columns[i].IfUnknown, at, width);
                    break;
                case string[] texts:
                    Array.Fill(texts, "", at, width);
                    break;
            }
        }
    }

    /// <summary>
    /// A <see cref="ValueGetter{TValue}"/> for output <paramref name="output"/> of the row that <paramref name="at"/>
    /// names.
    /// </summary>
    public Delegate Getter(int output, IBatchPosition at)
    {
        OutputColumn column = Columns[output];
        return (column.Kind, column.Width > 0) switch
        {
            (OutputKind.Single, false) =>
                (ValueGetter<float>)((ref float value) => value = ((float[])_storage[output]!)[_first + at.Row]),
            (OutputKind.Boolean, false) =>
                (ValueGetter<bool>)((ref bool value) => value = Booleans(output)[at.Row]),
            (OutputKind.Text, false) => (ValueGetter<ReadOnlyMemory<char>>)((ref ReadOnlyMemory<char> value) =>
                value = Texts(output)[at.Row].AsMemory()),
            (OutputKind.Single, true) => (ValueGetter<VBuffer<float>>)((ref VBuffer<float> value) =>
                CopyRow(Singles(output), at.Row, column.Width, ref value)),
            (OutputKind.Boolean, true) => (ValueGetter<VBuffer<bool>>)((ref VBuffer<bool> value) =>
                CopyRow(Booleans(output), at.Row, column.Width, ref value)),
            _ => throw new NotSupportedException($"Output column '{column.Name}' is a vector of text."),
        };
    }

    private int WidthOf(int column) => Math.Max(1, Columns[column].Width);

    private Memory<T> Values<T>(int column)
    {
        int width = WidthOf(column);
        return ((T[])_storage[column]!).AsMemory(_first * width, Capacity * width);
    }

    private static void CopyRow<T>(Span<T> rows, int row, int width, ref VBuffer<T> value)
    {
        VBufferEditor<T> editor = VBufferEditor.Create(ref value, width);
        rows.Slice(row * width, width).CopyTo(editor.Values);
        value = editor.Commit();
    }
}
