namespace GenerativeML;

/// <summary>What Fit does with a row that holds NaN or infinity.</summary>
public enum NonFiniteValues
{
    /// <summary>Refuse the data, saying how many such rows there are and which is the first. The default.</summary>
    Error,

    /// <summary>
    /// Replace NaN by the column's mean over the finite values, and ±infinity by its largest or smallest finite value.
    /// The same is done when scoring.
    /// </summary>
    Replace,

    /// <summary>Leave the row out of training. When scoring, such a row gets the score NaN.</summary>
    DropRow,
}
