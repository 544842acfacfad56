
namespace GenerativeML;

/// <summary>What a model of a vector under conditions reads.</summary>
internal static class VectorFields
{
    /// <summary>The vector's field, and one for each condition.</summary>
    public static IReadOnlyList<RowField> Of(
        string vector, int width, IReadOnlyList<string> conditions, IReadOnlyList<int> conditionWidths) =>
    [
        new RowField(vector, FieldKind.Single, width),
        .. conditions.Zip(conditionWidths, (name, slots) =>
            new RowField(name, FieldKind.Single, slots) { IsLabel = true }),
    ];
}
