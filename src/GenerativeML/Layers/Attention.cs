namespace GenerativeML;

/// <summary>Attention of positions to positions (Vaswani 2017), none of which is hidden because it comes later.</summary>
internal static class Attention
{
    // Of a score that is to count for nothing: e to this power is zero.
    private const float Hidden = -1e9f;

    /// <summary>
    /// What each query sees of the values: (B, N, C), (B, M, C), (B, M, C) → (B, N, C), in so many heads.
    /// <paramref name="seen"/> is one for keys that count and zero for others, (B, M); null: all count. Numbers of positions
    /// that are not known are −1. <paramref name="dropout"/> leaves out some of what each query sees, in training.
    /// </summary>
    public static T Attend<T>(T query, T key, T value, int heads, int queries, int keys, int width, T? seen = null,
        Func<T, T>? dropout = null)
        where T : struct, ITensor<T>
    {
        int each = width / heads;
        T scores = Split(query, queries).MatMul(key.Reshape(0, keys, heads, each).Transpose(0, 2, 3, 1)) * (1 / MathF.Sqrt(each));
        if (seen is { } counts)
            scores += (counts.Reshape(0, 1, 1, keys) - 1f) * -Hidden;
        T shares = dropout is null ? scores.Softmax() : dropout(scores.Softmax());
        return shares.MatMul(Split(value, keys)).Transpose(0, 2, 1, 3).Reshape(0, queries, width);

        T Split(T x, int positions) => x.Reshape(0, positions, heads, each).Transpose(0, 2, 1, 3); // (B, heads, positions, each)
    }
}
