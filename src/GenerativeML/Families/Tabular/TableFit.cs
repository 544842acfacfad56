namespace GenerativeML;

/// <summary>Trains the generator of tables that options are for.</summary>
internal static class TableFit
{
    /// <summary>Trains on a table.</summary>
    /// <exception cref="InvalidOperationException">There are too few rows, or the loss diverged.</exception>
    public static ITableGenerator Fit(ITableSource source, TabularOptions options, TrainingContext context) =>
        options switch
        {
            TabularGanOptions gan => TabularGanFit.Fit(source, gan, context),
            TabularVaeOptions vae => TabularVaeFit.Fit(source, vae, context),
            _ => throw new ArgumentException($"There is no generator of tables for {options.GetType().Name}."),
        };
}
