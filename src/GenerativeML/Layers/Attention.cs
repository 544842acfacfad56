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
    public static T Attend<T>(
        T query, T key, T value, int heads, int queries, int keys, int width, T? seen = null, Func<T, T>? dropout = null)
        where T : struct, ITensor<T> => Attend(
            query, Keys(key, heads, keys, width), Split(value, heads, keys, width), heads, queries, width,
            seen is { } counts ? Hide(counts, keys) : (T?)null, dropout);

    /// <summary>
    /// The same of keys and values as <see cref="Keys"/> and <see cref="Split"/> have made them, which many queries, one
    /// after the other, need not make anew; <paramref name="hidden"/> is what <see cref="Hide"/> makes of those that count.
    /// </summary>
    public static T Attend<T>(
        T query, T key, T value, int heads, int queries, int width, T? hidden, Func<T, T>? dropout = null)
        where T : struct, ITensor<T>
    {
        T scores = Split(query, heads, queries, width).MatMul(key) * (1 / MathF.Sqrt(width / heads));
        if (hidden is { } less)
            scores += less;
        T shares = dropout is null ? scores.Softmax() : dropout(scores.Softmax());
        return shares.MatMul(value).Transpose(0, 2, 1, 3).Reshape(0, queries, width);
    }

    /// <summary>Keys as queries meet them: (B, M, C) → (B, heads, C / heads, M). −1: as many as there are.</summary>
    public static T Keys<T>(T key, int heads, int keys, int width)
        where T : struct, ITensor<T> => key.Reshape(0, keys, heads, width / heads).Transpose(0, 2, 3, 1);

    /// <summary>Values, or queries, of each head: (B, M, C) → (B, heads, M, C / heads). −1: as many as there are.</summary>
    public static T Split<T>(T x, int heads, int positions, int width)
        where T : struct, ITensor<T> => x.Reshape(0, positions, heads, width / heads).Transpose(0, 2, 1, 3);

    /// <summary>What is added to scores so that keys with a zero count for nothing: (B, M) → (B, 1, 1, M).</summary>
    public static T Hide<T>(T counts, int keys)
        where T : struct, ITensor<T> => (counts.Reshape(0, 1, 1, keys) - 1f) * -Hidden;
}
