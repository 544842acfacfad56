using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>
/// Everything about a trained generator of tables that must be known to build it again, but its tensors.
/// </summary>
[JsonDerivedType(typeof(TabularGanShape), "gan")]
[JsonDerivedType(typeof(TabularVaeShape), "vae")]
internal abstract record TableModelShape
{
    /// <summary>The most slots that a layer or a code may have.</summary>
    public const int MostWidth = 1 << 16;

    /// <summary>The most tokens of a column.</summary>
    public const int MostTokens = 1 << 16;

    /// <summary>Checks a shape that came from a file.</summary>
    /// <param name="table">The table that it is for, already checked.</param>
    /// <exception cref="FormatException">A size is out of every sensible range.</exception>
    public abstract void Check(TableShape table);
}
