namespace GenerativeML;

/// <summary>Conditions of rows that are to be made, drawn from those of training rows.</summary>
internal static class ConditionDraws
{
    /// <summary>
    /// Writes conditions of rows, (count × C), as stored ones of training rows, (any × C). Free slots, NaN in what all
    /// rows have or all where that is empty, come from a stored row that shares the others, or from any.
    /// </summary>
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
