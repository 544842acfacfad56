using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>D + C → hidden layers → Z, and Z + C → hidden layers reversed → D, with an activation after each.</summary>
internal sealed class VaeNetwork : VariationalNetwork
{
    private readonly Activation _activation;
    private readonly int[] _inwards, _outwards;

    public VaeNetwork(VaeOptions options, VectorInput input)
        : base(options, input)
    {
        _activation = options.Activation;
        IReadOnlyList<int> hidden = options.HiddenLayers ?? []; // null only in a damaged file
        _inwards = [input.Width + input.ConditionWidth, .. hidden];
        _outwards = [LatentDimension + input.ConditionWidth, .. hidden.Reverse()];
    }

    public override int WidestLayer => _inwards.Skip(1).Append(LatentDimension).Max();

    protected override int HiddenWidth => _inwards[^1];

    protected override void DeclareStacks(Layers layers)
    {
        layers.Stack("encoder", _inwards);
        layers.Stack("decoder", _outwards);
        layers.Linear("output", _outwards[^1], Input.Width);
    }

    protected override T Hidden<T>(Scope<T> w, VectorRows<T> rows) =>
        w.Stack("encoder", _inwards.Length - 1, rows.WithCondition, _activation, activateLast: true);

    protected override T Decode<T>(Scope<T> w, VectorRows<T> latent) =>
        w.Linear("output", w.Stack(
            "decoder", _outwards.Length - 1, latent.WithCondition, _activation, activateLast: true));
}

/// <summary>
/// Trains a variational autoencoder (Kingma and Welling 2014): to generate rows like those that it was trained on and
/// to encode rows, or to detect anomalies by how unlike the training rows they are, or by how unlikely.
/// </summary>
/// <remarks>
/// <para>
/// To create this trainer, use <see cref="GenerativeCatalog.Vae(VaeOptions)"/>, for a detector
/// <see cref="VaeCatalog.VariationalAutoencoder(AnomalyDetectionCatalog.AnomalyDetectionTrainers, VaeOptions)"/>.
/// With <see cref="VectorOptions.ConditionColumnNames"/> it is conditional (Sohn 2015): generated rows have those
/// columns too, with the values that are asked for. Of keys, Booleans, and Singles that hold at most twenty values, all
/// of them whole, these are values of training rows; of other Singles, any.
/// </para>
/// <inheritdoc cref="VectorTrainer{TTransformer}" path="/remarks/list"/>
/// <para>Added columns:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>PredictedLabel</c></term><description><see cref="bool"/>: whether the score is above the
/// threshold, which <see cref="DetectorOptions.Contamination"/> decides.</description></item>
/// <item><term><c>Score</c></term><description><see cref="float"/>: what <see cref="VariationalOptions.Score"/> says. Of
/// a detector by default <see cref="VaeScore.Novelty"/>: zero or more, and about the number of its parts for a usual
/// row. The others are in nats, and may be negative, for densities of numbers may be above one.</description></item>
/// <item><term><c>PValue</c></term><description>On request: <see cref="float"/>, the share of ordinary rows that score as
/// high or higher.</description></item>
/// <item><term><c>FeatureScore</c></term><description>On request: a vector as wide as the input; its slot names are
/// the input's. Each feature's share of the score, which is their sum: its own part of likelihood and distances, and by
/// its part of likelihood a share of what belongs to the row as a whole.</description></item>
/// <item><term><c>Reconstruction</c></term><description>On request: a vector as wide as the input, what the decoder
/// makes of the mean of the row's latent distribution, in the input's units.</description></item>
/// <item><term><c>Latent</c>, <c>LatentDeviation</c></term><description>Mean and standard deviation of the row's latent
/// distribution, vectors.</description></item>
/// </list>
/// </remarks>
public sealed class VaeTrainer : VectorTrainer<VectorGenerator>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<VaeOptions>(
        "vae", (options, input) => new VaeNetwork(options, input));

    internal VaeTrainer(IHostEnvironment environment, VaeOptions options)
        : base(environment, Family, options)
    {
    }
}
