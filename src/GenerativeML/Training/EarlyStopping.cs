namespace GenerativeML;

/// <summary>Follows the validation loss: which epoch was the best, and whether to go on.</summary>
internal sealed class EarlyStopping(int patience)
{
    /// <summary>The lowest validation loss so far.</summary>
    public double Best { get; private set; } = double.PositiveInfinity;

    /// <summary>Epochs since then.</summary>
    public int Waited { get; private set; }

    /// <summary>Whether the patience is used up.</summary>
    public bool IsOver => patience > 0 && Waited >= patience;

    /// <summary>Takes an epoch's loss; true if it is the lowest so far.</summary>
    public bool Improves(double loss)
    {
        if (!(loss < Best))
        {
            Waited++;
            return false;
        }
        Best = loss;
        Waited = 0;
        return true;
    }

    /// <summary>Goes on from a saved state.</summary>
    public void Restore(double best, int waited) => (Best, Waited) = (best, waited);
}
