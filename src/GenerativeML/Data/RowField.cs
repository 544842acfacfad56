namespace GenerativeML;

/// <summary>The element type of a field of a row.</summary>
internal enum FieldKind
{
    /// <summary>32-bit floating point: features, images, encoded tables.</summary>
    Single,

    /// <summary>64-bit integers: class numbers, tokens.</summary>
    Int64,

    /// <summary>A text, of any length; the field is one wide.</summary>
    Text,
}

/// <summary>One named, fixed-width part of a row, as a network sees it.</summary>
/// <param name="Name">What errors call it: the column's name.</param>
/// <param name="Kind">The element type.</param>
/// <param name="Width">How many elements each row has; at least one.</param>
internal sealed record RowField(string Name, FieldKind Kind, int Width)
{
    /// <summary>
    /// Whether the column is no vector but a label, one value in each row: a number or a truth value, in one slot, or a
    /// key, with a slot for each of its values, of which one is 1. All are zero where the key is missing.
    /// </summary>
    public bool IsLabel { get; init; }

    /// <summary>
    /// The values of a number that is a category, ascending: each has a slot, as those of a key have. All slots are zero
    /// for any other value. Null for what is no such number.
    /// </summary>
    public IReadOnlyList<float>? Categories { get; init; }
}
