namespace GenerativeML;

/// <summary>
/// Which rows are held back from training: of every 1/fraction rows in a row one, drawn at random, so that the choice
/// is spread evenly, depends on nothing but the seed and the row's number, and needs no count of the rows.
/// </summary>
internal sealed class ValidationRows
{
    private readonly double _stride;
    private readonly int _seed;
    private readonly long _most;
    private long _block = -1;
    private long _next;
    private long _taken;

    /// <param name="fraction">The share of rows, 0 to 0.5.</param>
    /// <param name="seed">The seed of the training run.</param>
    /// <param name="most">No more rows than this are held back; the rest trains.</param>
    public ValidationRows(double fraction, int seed, long most)
    {
        _stride = fraction > 0 ? 1 / fraction : double.PositiveInfinity;
        _seed = seed;
        _most = most;
        Advance();
    }

    /// <summary>Whether a row is held back. Rows are asked for in ascending order.</summary>
    public bool Contains(long row)
    {
        while (row > _next && _taken < _most)
            Advance();
        if (row != _next || _taken >= _most)
            return false;
        _taken++;
        Advance();
        return true;
    }

    private void Advance()
    {
        if (double.IsPositiveInfinity(_stride))
        {
            _next = long.MaxValue;
            return;
        }
        long drawn;
        do
        {
            _block++;
            double u = new SplitMix64(SplitMix64.Derive(_seed, RandomPurpose.Validation, _block)).NextDouble();
            drawn = (long)((_block + u) * _stride);
        }
        while (drawn <= _next && _block > 0); // two neighbouring draws can fall on one row
        _next = drawn;
    }
}
