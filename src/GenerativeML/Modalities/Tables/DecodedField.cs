
namespace GenerativeML;

/// <summary>A field's values in a block of generated rows.</summary>
internal sealed class DecodedField(TableField table, TableBlock block, int column)
{
    /// <summary>The value of each code; null for numbers.</summary>
    public TableValues? Categories => table.Categories;

    /// <summary>What numbers are multiplied by.</summary>
    public double Unit => table.Unit;

    /// <summary>The numbers, row by row.</summary>
    public double[] Numbers => block.Numbers(column);

    /// <summary>The codes, row by row.</summary>
    public int[] Codes => block.Codes(column);
}
