using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>The options of a diffusion model of vectors (Ho 2020; Karras 2022).</summary>
public sealed record DiffusionOptions : DenoisingOptions
{
    /// <summary>The width of the network. 1 to 65,536. Default 256.</summary>
    public int HiddenWidth { get; init; } = 256;

    /// <summary>
    /// Residual blocks, each of two dense layers that see the level of the noise. 1 to 64. Default 3.
    /// </summary>
    public int Blocks { get; init; } = 3;

    internal override double LargestGivenShare => 0.8;

    internal override VectorOptions Resolve(RowStatistics rows) => this with
    {
        BatchSize = BatchSize ?? 128,
        LearningRate = LearningRate ?? 1e-3,
        WeightDecay = WeightDecay ?? 1e-4,
        Epochs = Epochs ?? rows.EpochsFor(presented: 512_000, least: 10, most: 1000),
    };

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(HiddenWidth, 1, OptionChecks.MaxWidth);
        OptionChecks.Within(Blocks, 1, 64);
    }
}

/// <summary>
/// Trains a diffusion model: a network that takes noise of any level from rows, and so generates others from nothing but
/// noise (Ho 2020; Karras 2022).
/// </summary>
public sealed class DiffusionTrainer : VectorTrainer<DiffusionTransformer>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<DiffusionOptions>(
        "diffusion", (options, input) => new DiffusionNetwork(options, input), state => new DiffusionTransformer(state));

    internal DiffusionTrainer(IHostEnvironment environment, DiffusionOptions options)
        : base(environment, Family, options)
    {
    }
}

/// <summary>
/// A denoiser of dense layers: what is seen of a row → hidden; residual blocks h + W₂·silu(W₁·norm(h) + level); → D.
/// </summary>
internal sealed class DiffusionNetwork : DenoisingNetwork
{
    private readonly DiffusionOptions _options;
    private readonly NoiseEmbedding _level;

    public DiffusionNetwork(DiffusionOptions options, VectorInput input)
        : base(options, input)
    {
        _options = options;
        _level = new("level", LogLevels.Least, LogLevels.Most, options.HiddenWidth);
    }

    public override int WidestLayer => _options.HiddenWidth;

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        base.Initialize(weights, rows);
        _level.Initialize(weights);
        // It begins as if there were nothing to tell, whatever the level.
        Array.Clear(weights["output.weight"]);
    }

    protected override void DeclareLayers(Layers layers)
    {
        int width = _options.HiddenWidth, condition = Input.ConditionWidth > 0 ? Input.ConditionWidth + 1 : 0;
        layers.Linear("input", 2 * Input.Width + condition, width);
        _level.Declare(layers);
        for (int i = 0; i < _options.Blocks; i++)
        {
            layers.LayerNorm($"block.{i}.norm", width);
            layers.Linear($"block.{i}.level", width, width);
            layers.Stack($"block.{i}.dense", [width, width, width]);
        }
        layers.LayerNorm("norm", width);
        layers.Linear("output", width, Input.Width);
    }

    protected override T Predict<T>(Scope<T> w, NoisyRows<T> rows)
    {
        T level = _level.Embed(w, rows.LogLevel).Apply(Function.Silu);
        T hidden = w.Linear("input", rows.Joined);
        for (int i = 0; i < _options.Blocks; i++)
        {
            Scope<T> block = w.Of($"block.{i}");
            T inner = block.Linear("dense.0", block.LayerNorm("norm", hidden)) + block.Linear("level", level);
            hidden += block.Linear("dense.1", inner.Apply(Function.Silu));
        }
        return w.Linear("output", w.LayerNorm("norm", hidden).Apply(Function.Silu));
    }
}
