namespace GenerativeML.Rows;

/// <summary>The type of an output column's elements.</summary>
internal enum OutputKind
{
    Single,
    Boolean,
    Text,
}

/// <summary>A column that a model adds to each row.</summary>
/// <param name="Name">The column's name.</param>
/// <param name="Kind">The type of its elements.</param>
/// <param name="Width">Zero for a scalar, otherwise the vector's known size.</param>
/// <param name="SlotNamesFrom">
/// The input column whose slot names this vector carries as its own, or null. Where the input column has none, slots
/// are named by the input column and their number: <c>Features.3</c>.
/// </param>
/// <param name="ScoreColumnKind">The value of the <c>ScoreColumnKind</c> annotation, or null for none.</param>
internal sealed record OutputColumn(
    string Name, OutputKind Kind, int Width = 0, string? SlotNamesFrom = null, string? ScoreColumnKind = null);
