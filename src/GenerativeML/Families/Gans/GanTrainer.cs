using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// Trains a generative adversarial network (Goodfellow 2014): a generator that makes rows from noise, against a
/// discriminator that tells them from the training rows. <see cref="GanOptions.Objective"/> chooses the game.
/// </summary>
/// <remarks>
/// <para>
/// To create this estimator, use <see cref="GenerativeCatalog.Gan(string, GanObjective, int?)"/> or
/// <see cref="GenerativeCatalog.Gan(GanOptions)"/>. <see cref="GanTransformer.Report"/> says how training went.
/// </para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Generating vectors; on request a score of how strange rows are.</description></item>
/// <item><term>Input</term><description>One vector of <see cref="float"/> of known size. With
/// <see cref="GanOptions.ConditionColumnNames"/> it is conditional (Mirza 2014): generated rows have those columns too,
/// with any values that are asked for.</description></item>
/// <item><term>Normalization</term>
/// <description>Done inside: each feature by its own mean and deviation.</description></item>
/// <item><term>Caching</term>
/// <description>Done inside, within <see cref="TrainingOptions.CacheBudgetBytes"/>.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>To train, to compute on a GPU, and to search for latent
/// vectors, TorchSharp-cpu or TorchSharp-cuda; to generate and to score on the CPU,
/// Microsoft.ML.OnnxRuntime.</description></item>
/// </list>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>Score</c></term><description><see cref="float"/>: how strange the row is, see
/// <see cref="GanOptions.Score"/>.</description></item>
/// <item><term><c>Reconstruction</c></term><description>On request: a vector as wide as the input, the nearest row that
/// the generator can make.</description></item>
/// </list>
/// </remarks>
public sealed class GanTrainer : VectorTrainer<GanTransformer>
{
    internal static readonly VectorFamily Family = new(
        "gan", typeof(GanOptions), (options, input) => new GanNetwork((GanOptions)options, input),
        state => new GanTransformer(state));

    internal GanTrainer(IHostEnvironment environment, GanOptions options)
        : base(environment, Family, options)
    {
    }
}

/// <summary>A trained GAN as a step of a pipeline: adds scores to rows, and generates rows.</summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class GanTransformer : VectorGenerator
{
    internal GanTransformer(VectorModelState state)
        : base(state) => Report = GanReport.Read(state.Extra);

    /// <summary>How the training went: figures by stage, and a verdict in words.</summary>
    public GanReport Report { get; }
}
