namespace GenerativeML;

/// <summary>What a figure of a <see cref="SyntheticDataReport"/> means.</summary>
public enum VerdictLevel
{
    /// <summary>As good as can be hoped for.</summary>
    Good,

    /// <summary>Good enough for many uses; worth a look.</summary>
    Fair,

    /// <summary>Something is wrong with the synthetic table, for this purpose.</summary>
    Poor,
}

/// <summary>One of the report's conclusions, in words.</summary>
/// <param name="Level">How it is.</param>
/// <param name="Topic">What it is about.</param>
/// <param name="Text">A sentence or two.</param>
public sealed record ReportVerdict(VerdictLevel Level, string Topic, string Text);
