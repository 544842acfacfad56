using TorchSharp;

namespace GenerativeML;

/// <summary>
/// BigGAN's parts (Brock 2019; Zhang 2019; Miyato 2018). The generator: a dense layer, then residual blocks, each of twice the
/// height and width, whose batch normalisation is told noise and condition; at last tanh. The discriminator: residual blocks
/// of half the height and width, one more of the last size, and the sum over all places. Attention at sizes of choice.
/// </summary>
internal sealed class ResidualGanNetwork : ImageGanNetwork
{
    private const int Kernel = 3;
    private const double Deviation = 0.02; // of the first weights of what normalisation is told

    private readonly int _last; // level
    private readonly int _innermost, _told;

    /// <inheritdoc/>
    public ResidualGanNetwork(ImageGanOptions options, VectorInput input)
        : base(options, input)
    {
        _last = Levels.Length - 1;
        _innermost = Levels[^1].Channels * Levels[^1].Height * Levels[^1].Width;
        _told = NormalWidth + input.ConditionWidth;
    }

    protected override int FeatureWidth => Levels[^1].Channels;

    // Of attention, what each place has to do with each other one, in both networks.
    public override long NumbersPerRow => base.NumbersPerRow
        + Levels.Where((_, level) => HasAttention(level)).Sum(level => 8L * level.Height * level.Width * level.Height * level.Width);

    public override void Declare(Layers layers)
    {
        layers.Linear($"{Generator}.innermost", _told, _innermost);
        for (int i = _last - 1; i >= 0; i--)
        {
            (int inputs, int outputs) = (Levels[i + 1].Channels, Levels[i].Channels);
            ConditionalLayers.DeclareBatchNorm(layers, $"{Generator}.{i}.0.normalization", inputs, _told);
            layers.Conv2d($"{Generator}.{i}.0.convolution", inputs, outputs, Kernel);
            ConditionalLayers.DeclareBatchNorm(layers, $"{Generator}.{i}.1.normalization", outputs, _told);
            layers.Conv2d($"{Generator}.{i}.1.convolution", outputs, outputs, Kernel);
            layers.Conv2d($"{Generator}.{i}.shortcut", inputs, outputs, 1);
            if (HasAttention(i))
            {
                ConditionalLayers.DeclareAttention(
                    layers, $"{Generator}.{i}.attention", outputs, (name, from, to) => layers.Linear(name, from, to, bias: false));
            }
        }
        layers.BatchNorm($"{Generator}.normalization", Levels[0].Channels);
        layers.Conv2d($"{Generator}.image", Levels[0].Channels, Shape.Channels, Kernel);

        for (int i = 0; i <= _last; i++)
        {
            (int inputs, int outputs) = Block(i);
            DeclareConv2d(layers, $"{Discriminator}.{i}.0", inputs, outputs, Kernel);
            DeclareConv2d(layers, $"{Discriminator}.{i}.1", outputs, outputs, Kernel);
            if (inputs != outputs)
                DeclareConv2d(layers, $"{Discriminator}.{i}.shortcut", inputs, outputs, 1);
            if (i < _last && HasAttention(i + 1))
            {
                ConditionalLayers.DeclareAttention(
                    layers, $"{Discriminator}.{i}.attention", outputs,
                    (name, from, to) => DeclareDense(layers, name, from, to, bias: false));
            }
        }
        DeclareJudgement(layers);
    }

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        var random = new SplitMix64(SplitMix64.Derive(Input.Seed, RandomPurpose.Initialization, -1));
        foreach (TensorSpec told in Declared().Tensors.Where(t => t.Name.EndsWith(".told.weight", StringComparison.Ordinal)))
        {
            float[] values = weights[told.Name];
            NormalNumbers.Fill(ref random, values);
            for (int i = 0; i < values.Length; i++)
                values[i] *= (float)Deviation;
        }
        base.Initialize(weights, rows);
    }

    protected override T Generate<T>(Scope<T> w, T latent, T? condition)
    {
        T told = new VectorRows<T>(latent, condition).WithCondition;
        T x = w.Linear($"{Generator}.innermost", told)
            .Reshape(-1, Levels[_last].Channels, Levels[_last].Height, Levels[_last].Width);
        for (int i = _last - 1; i >= 0; i--)
        {
            Scope<T> block = w.Of($"{Generator}.{i}");
            T h = ConditionalLayers.BatchNorm(block, "0.normalization", x, told, Levels[i + 1].Channels).Apply(Function.Relu);
            h = block.Conv2d("0.convolution", Doubled(h, i), padding: Kernel / 2);
            h = ConditionalLayers.BatchNorm(block, "1.normalization", h, told, Levels[i].Channels).Apply(Function.Relu);
            // A convolution of single pixels is the same before they become four.
            x = block.Conv2d("1.convolution", h, padding: Kernel / 2) + Doubled(block.Conv2d("shortcut", x), i);
            if (HasAttention(i))
                x = ConditionalLayers.Attend(block, "attention", x, Levels[i], block.Linear);
        }
        x = w.BatchNorm($"{Generator}.normalization", x, pictures: true).Apply(Function.Relu);
        x = w.Conv2d($"{Generator}.image", x, padding: Kernel / 2);
        return x.Apply(Function.Tanh).Reshape(-1, Input.Width);
    }

    protected override T Features<T>(Scope<T> w, VectorRows<T> rows)
    {
        T x = rows.Features.Reshape(-1, Shape.Channels, Shape.Height, Shape.Width);
        for (int i = 0; i <= _last; i++)
        {
            (int inputs, int outputs) = Block(i);
            string name = $"{Discriminator}.{i}";
            // Of the image itself nothing is negative by chance.
            T h = Conv2d(w, $"{name}.0", i == 0 ? x : x.Apply(Function.Relu), Kernel);
            h = Conv2d(w, $"{name}.1", h.Apply(Function.Relu), Kernel);
            x = inputs == outputs ? Smaller(x) : Conv2d(w, $"{name}.shortcut", Smaller(x), 1);
            x = Smaller(h) + x;
            if (i < _last && HasAttention(i + 1))
            {
                x = ConditionalLayers.Attend(
                    w, $"{name}.attention", x, (outputs, Levels[i + 1].Height, Levels[i + 1].Width),
                    (layer, places) => Dense(w, layer, places, 0));
            }

            T Smaller(T image) => i < _last ? image.Halved() : image;
        }
        int positions = Levels[_last].Height * Levels[_last].Width;
        return x.Apply(Function.Relu).Reshape(0, FeatureWidth, positions).Reduce(Reduction.Sum, 2).Squeeze(2);
    }

    /// <summary>
    /// The sum of the squares of all products of two outputs' weights (Brock 2019, section 3.1): of the generator's layers but
    /// for those that tell normalisation.
    /// </summary>
    protected override IEnumerable<LossTerm> GeneratorPenalties(Scope<TorchTensor> w)
    {
        if (Options.OrthogonalRegularization is not > 0)
            return [];
        torch.Tensor sum = Declared().Tensors
            .Where(t => t.Name.StartsWith(Generator, StringComparison.Ordinal) && t.Shape.Length > 1
                && !t.Name.Contains(".told.", StringComparison.Ordinal))
            .Select(t => NonOrthogonality(w[t.Name])).Aggregate(TorchArithmetic.Plus);
        return [new LossTerm("orthogonal", sum.Scaled(Options.OrthogonalRegularization.Value))];
    }

    /// <summary>
    /// ‖W·Wᵀ ⊙ (1 − I)‖² of a weight as a matrix of a row for each output; by the smaller of W·Wᵀ and Wᵀ·W, which have the same
    /// norm, since a dense layer may have many thousand rows.
    /// </summary>
    internal static torch.Tensor NonOrthogonality(torch.Tensor weight)
    {
        torch.Tensor matrix = weight.reshape(weight.shape[0], -1);
        torch.Tensor products = matrix.shape[0] <= matrix.shape[1] ? matrix.mm(matrix.t()) : matrix.t().mm(matrix);
        return products.Squared().sum().Minus(matrix.Squared().sum(1L).Squared().sum());
    }

    // The discriminator's blocks: all but the last give channels of the next level.
    private (int Inputs, int Outputs) Block(int level) => (
        level == 0 ? Shape.Channels : Levels[level].Channels, Levels[Math.Min(level + 1, _last)].Channels);

    private bool HasAttention(int level) =>
        Options.AttentionResolutions!.Contains(Math.Min(Levels[level].Height, Levels[level].Width));
}
