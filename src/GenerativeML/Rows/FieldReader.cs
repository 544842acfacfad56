using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Rows;

/// <summary>
/// Reads one vector-of-Single column of the row that a cursor stands on; sparse vectors become dense.
/// </summary>
internal sealed class FieldReader(ValueGetter<VBuffer<float>> getter, string column)
{
    private VBuffer<float> _buffer;

    /// <summary>Copies the current row's values, and says whether all of them are finite.</summary>
    public bool Read(Span<float> row)
    {
        getter(ref _buffer);
        if (_buffer.Length != row.Length)
        {
            throw new InvalidOperationException(
                $"Column '{column}' promises {row.Length} values in each row, but a row has {_buffer.Length}.");
        }
        _buffer.CopyTo(row);
        foreach (float x in row)
        {
            if (!float.IsFinite(x))
                return false;
        }
        return true;
    }
}
