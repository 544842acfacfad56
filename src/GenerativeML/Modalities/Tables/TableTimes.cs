namespace GenerativeML;

/// <summary>
/// Times and durations as numbers of milliseconds, which doubles hold exactly; finer parts are cut off.
/// </summary>
internal static class TableTimes
{
    private const long Ticks = TimeSpan.TicksPerMillisecond;

    /// <summary>
    /// Units, in milliseconds, from the coarsest: a column is learned in the first that fits all its values.
    /// </summary>
    public static IReadOnlyList<long> Units { get; } = [86_400_000, 3_600_000, 60_000, 1000, 1];

    /// <summary>NaN for the least time there is, which programs use for none.</summary>
    public static double Read(DateTime time) => time == DateTime.MinValue ? double.NaN : time.Ticks / Ticks;

    public static double Read(TimeSpan duration) => duration.Ticks / Ticks;

    /// <summary>The least time there is for NaN.</summary>
    public static DateTime ToTime(double milliseconds) => double.IsNaN(milliseconds)
        ? DateTime.MinValue
        : new DateTime((long)Math.Clamp(milliseconds, 0, DateTime.MaxValue.Ticks / Ticks) * Ticks);

    public static TimeSpan ToDuration(double milliseconds) =>
        new((long)Math.Clamp(milliseconds, long.MinValue / Ticks, long.MaxValue / Ticks) * Ticks);
}
