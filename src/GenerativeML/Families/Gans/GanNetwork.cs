namespace GenerativeML;

/// <summary>
/// The two networks of a GAN of dense layers. The generator makes rows: noise and condition, (B, Z + C) → (B, D). The
/// discriminator judges packs of p rows with their conditions, (B / p, p·(D + C)) → (B / p, 1).
/// </summary>
internal sealed class GanNetwork : AdversarialNetwork
{
    private readonly GanOptions _options;
    private readonly int[] _generator, _discriminator;

    public GanNetwork(GanOptions options, VectorInput input)
        : base(options, input)
    {
        _options = options;
        _generator = [NormalWidth + input.ConditionWidth, .. options.GeneratorLayers, input.Width];
        _discriminator = [options.PackSize * (input.Width + input.ConditionWidth), .. options.DiscriminatorLayers, 1];
    }

    public override int WidestLayer => _generator.Concat(_discriminator).Max();

    public override void Declare(Layers layers)
    {
        layers.Stack(Generator, _generator);
        if (!IsSpectral)
            layers.Stack(Discriminator, _discriminator);
        for (int i = 0; IsSpectral && i + 1 < _discriminator.Length; i++)
            SpectralNorm.DeclareLinear(layers, $"{Discriminator}.{i}", _discriminator[i], _discriminator[i + 1]);
    }

    public override T JudgeAlone<T>(Scope<T> w, VectorRows<T> rows) => JudgePacks(w, Copies(rows));

    /// <summary>Rows with their conditions, p side by side: (B, D), (B, C) → (B / p, p·(D + C)).</summary>
    public T Packed<T>(VectorRows<T> rows)
        where T : struct, ITensor<T> =>
        _options.PackSize == 1 ? rows.WithCondition : rows.WithCondition.Reshape(-1, _discriminator[0]);

    protected override T Generate<T>(Scope<T> w, T latent, T? condition) => w.Stack(
        Generator, _generator.Length - 1, new VectorRows<T>(latent, condition).WithCondition, _options.Activation);

    protected override T Judge<T>(Scope<T> w, VectorRows<T> rows) => JudgePacks(w, Packed(rows));

    protected override T Features<T>(Scope<T> w, VectorRows<T> rows) => FeaturesOf(w, Copies(rows));

    private T JudgePacks<T>(Scope<T> w, T packs)
        where T : struct, ITensor<T> => Judging(w, _discriminator.Length - 2, FeaturesOf(w, packs));

    private T FeaturesOf<T>(Scope<T> w, T packs)
        where T : struct, ITensor<T>
    {
        for (int i = 0; i + 2 < _discriminator.Length; i++)
            packs = Judging(w, i, packs).Apply(_options.Activation);
        return packs;
    }

    private T Judging<T>(Scope<T> w, int layer, T x)
        where T : struct, ITensor<T> =>
        IsSpectral ? SpectralNorm.Linear(w, $"{Discriminator}.{layer}", x) : w.Linear($"{Discriminator}.{layer}", x);

    private T Copies<T>(VectorRows<T> rows)
        where T : struct, ITensor<T> => _options.PackSize == 1
            ? rows.WithCondition
            : T.Concat(1, [.. Enumerable.Repeat(rows.WithCondition, _options.PackSize)]);
}
