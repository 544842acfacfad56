using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>Conditions of training rows, to draw those of generated rows from.</summary>
/// <param name="rows">(rows, width).</param>
/// <param name="width">Slots of all conditions together.</param>
internal sealed class StoredConditions(torch.Tensor rows, int width)
{
    private readonly int _count = (int)rows.shape[0];

    /// <summary>
    /// Draws the conditions of so many rows, (count × width). Slots that <paramref name="where"/> gives have that value;
    /// the others, NaN there, come from one stored row that shares the given ones, or from any where none does.
    /// </summary>
    public void Draw(Span<float> conditions, int count, ulong seed, ReadOnlySpan<float> where)
    {
        float[] stored = new float[_count * width];
        HostTensors.CopyTo(rows, stored);
        var fitting = new List<int>(_count);
        for (int row = 0; row < _count; row++)
        {
            if (Fits(stored.AsSpan(row * width, width), where))
                fitting.Add(row);
        }
        var random = new SplitMix64(SplitMix64.Derive(unchecked((int)seed), RandomPurpose.Sample, (long)(seed >> 32)));
        for (int i = 0; i < count; i++)
        {
            int row = fitting.Count > 0 ? fitting[random.Next(fitting.Count)] : random.Next(_count);
            Span<float> target = conditions.Slice(i * width, width);
            stored.AsSpan(row * width, width).CopyTo(target);
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
