namespace GenerativeML;

/// <summary>Sees every training row once, in the source's order, before training begins.</summary>
internal interface IRowObserver
{
    /// <summary>
    /// Rows <paramref name="start"/> to <paramref name="start"/> + <paramref name="count"/> − 1 of a block.
    /// </summary>
    void Observe(RowBlock block, int start, int count);
}
