namespace GenerativeML;

/// <summary>Checks the names of columns that options give.</summary>
internal static class ColumnNames
{
    /// <summary>Checks that every name can be one and that no two columns would be added under the same.</summary>
    /// <param name="read">The columns that are read.</param>
    /// <param name="added">The columns that are added; null for those that are not.</param>
    /// <exception cref="ArgumentException">A name is empty, or given twice.</exception>
    public static void Check(IEnumerable<string> read, IEnumerable<string?> added)
    {
        string[] inputs = [.. read], outputs = [.. added.OfType<string>()];
        if (inputs.Any(string.IsNullOrWhiteSpace))
            throw new ArgumentException("The name of the input column is empty.");
        if (outputs.Any(string.IsNullOrWhiteSpace))
            throw new ArgumentException("The name of an added column is empty.");
        if (Twice(inputs) is string readTwice)
            throw new ArgumentException($"Column '{readTwice}' is named twice as input.");
        if (Twice(outputs) is string addedTwice)
            throw new ArgumentException($"Two columns would be added under the name '{addedTwice}'.");

        static string? Twice(string[] names) => names.GroupBy(n => n).FirstOrDefault(g => g.Count() > 1)?.Key;
    }
}
