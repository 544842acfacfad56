using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>Reads the rows of a data view cell by cell, and settles what is not finite.</summary>
internal sealed class TableReader : IDisposable
{
    private const int RowsBetweenChecks = 1024;

    private readonly TableBinding _binding;
    private readonly NonFiniteValues _policy;
    private readonly CancellationToken _cancellation;
    private readonly DataViewRowCursor _cursor;
    private readonly Action[] _readers;

    public TableReader(IDataView data, TableBinding binding, NonFiniteValues policy, CancellationToken cancellation)
    {
        _binding = binding;
        _policy = policy;
        _cancellation = cancellation;
        Cells = new RowCells(binding.FieldNames.Count);
        _cursor = data.GetRowCursor(binding.Columns);
        try
        {
            _readers = new Action[binding.Columns.Count];
            int first = 0;
            for (int c = 0; c < _readers.Length; c++)
            {
                TableType type = binding.Types[c];
                int? width = type.Dimensions is null ? null : (int)type.Size;
                _readers[c] = TableItem.Named(type.Item).Reader(_cursor, binding.Columns[c], Cells, first, width);
                first += width ?? 1;
            }
        }
        catch
        {
            _cursor.Dispose();
            throw;
        }
    }

    /// <summary>The values of the current row.</summary>
    public RowCells Cells { get; }

    /// <summary>Rows read so far, those among them that were left out.</summary>
    public long RowsSeen { get; private set; }

    /// <summary>Rows with infinite numbers so far.</summary>
    public long InfiniteRows { get; private set; }

    /// <summary>The field of the first infinite number, and its row.</summary>
    public (int Field, long Row)? FirstInfinite { get; private set; }

    /// <summary>Moves to the next row that is learned from.</summary>
    public bool MoveNext()
    {
        while (_cursor.MoveNext())
        {
            if (RowsSeen % RowsBetweenChecks == 0)
                _cancellation.ThrowIfCancellationRequested();
            foreach (Action read in _readers)
                read();
            RowsSeen++;
            if (!Settle() || _policy != NonFiniteValues.DropRow)
                return true;
        }
        return false;
    }

    /// <summary>Makes infinite numbers missing ones, and says whether there were any.</summary>
    private bool Settle()
    {
        bool any = false;
        for (int f = 0; f < Cells.Numbers.Length; f++)
        {
            if (!double.IsInfinity(Cells.Numbers[f]))
                continue;
            Cells.Numbers[f] = double.NaN;
            FirstInfinite ??= (f, RowsSeen - 1);
            any = true;
        }
        if (any)
            InfiniteRows++;
        return any;
    }

    /// <summary>The error for rows that are not the same in every pass.</summary>
    public static InvalidOperationException Changed(string column) => new(
        $"Column '{column}' has values that were not there in the first pass: the data must be the same in every"
        + " pass.");

    public void Dispose() => _cursor.Dispose();
}
