using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>Learns a table of mixed columns with conditional generative adversarial networks, to generate rows like its own.</summary>
/// <remarks>
/// <para>
/// To create this trainer, use <see cref="GenerativeCatalog.TabularGan(string?, int?)"/> or
/// <see cref="GenerativeCatalog.TabularGan(TabularGanOptions)"/>.
/// </para>
/// <inheritdoc cref="TabularEstimator" path="/remarks"/>
/// </remarks>
public sealed class TabularGanTrainer : TabularEstimator
{
    internal TabularGanTrainer(IHostEnvironment environment, TabularGanOptions options)
        : base(environment, nameof(TabularGanTrainer), options)
    {
    }
}
