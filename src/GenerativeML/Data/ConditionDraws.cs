namespace GenerativeML;

/// <summary>Conditions of rows that are to be made, drawn from those of training rows.</summary>
internal static class ConditionDraws
{
    /// <summary>Draws the conditions of so many rows.</summary>
    /// <param name="stored">Those of training rows, (any × width), in the units of the data.</param>
    /// <param name="width">Slots of all conditions together, C.</param>
    /// <param name="conditions">Where they are written, (count × C).</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="seed">The seed of the draws.</param>
    /// <param name="where">
    /// What all rows have, (C): NaN in slots that are free. Empty: all are. Free ones come from a stored row that shares
    /// the others, or from any where none does.
    /// </param>
    public static void Draw(
        ReadOnlySpan<float> stored, int width, Span<float> conditions, int count, ulong seed, ReadOnlySpan<float> where)
    {
        if (width == 0)
            return;
        int storedRows = stored.Length / width;
        var fitting = new List<int>(storedRows);
        for (int row = 0; row < storedRows; row++)
        {
            if (Fits(stored.Slice(row * width, width), where))
                fitting.Add(row);
        }
        var random = new SplitMix64(seed);
        for (int i = 0; i < count; i++)
        {
            int row = fitting.Count > 0 ? fitting[random.Next(fitting.Count)] : random.Next(storedRows);
            Span<float> target = conditions.Slice(i * width, width);
            stored.Slice(row * width, width).CopyTo(target);
            for (int j = 0; j < where.Length; j++)
            {
                if (!float.IsNaN(where[j]))
                    target[j] = where[j];
            }
        }
    }

    private static bool Fits(ReadOnlySpan<float> row, ReadOnlySpan<float> where)
    {
        for (int j = 0; j < where.Length; j++)
        {
            if (!float.IsNaN(where[j]) && where[j] != row[j])
                return false;
        }
        return true;
    }
}
