using System.Numerics;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Two translators and two discriminators (Zhu 2017). A translator: a convolution, some that halve height and width,
/// residual blocks, and the way back to the image, with instance normalisation and rectifiers. A discriminator: convolutions
/// with leaky rectifiers, whose last gives a judgement of each place and so of a patch of the image (Isola 2017). With labels
/// a classifier of what images show.
/// </summary>
internal sealed class CycleGanNetwork : VectorNetwork, ITranslator, IReconstructor
{
    /// <summary>The numbers of the updates.</summary>
    public const int GeneratorUpdate = 0, DiscriminatorUpdate = 1, ClassifierUpdate = 2;

    // Parts, by the domain that a translator makes images of, and that a discriminator knows.
    private const string Generator = "generator", Discriminator = "discriminator", Classifier = "classifier";
    private const string Framing = "framing";
    private static readonly string[] s_domains = ["first", "second"];

    private const int ImageKernel = 7, Kernel = 3, UpKernel = 4, PatchKernel = 4;
    private const float Slope = 0.2f;
    private const float InputScale = 2; // of an image before tanh, which so leaves black and white almost as they are
    private const double Deviation = 0.02; // of first weights
    private const double ClassifierRate = 2; // of the learning rate
    private static readonly int[] s_classifierChannels = [32, 64];
    private const double Scale = 0.4, Shift = 0.2, Noise = 0.5; // of what a classifier sees: a logarithm, half sides, half a range

    private readonly CycleGanOptions _options;
    private readonly (int Channels, int Height, int Width)[] _stages; // of a translator, the first as large as the image
    private readonly ImageShape _shape;
    private readonly (int Channels, int Height, int Width)[] _judges; // what a discriminator makes of an image, the first
    private readonly ImageStages? _classifier;
    private ImageHistory? _history; // while it is trained

    /// <exception cref="FormatException">The input is none of images.</exception>
    public CycleGanNetwork(CycleGanOptions options, VectorInput input)
        : base(input)
    {
        _options = options;
        _shape = input.Image?.Shape ?? throw new FormatException("The saved model's input is none of images.");
        _stages = ImageStages.Of(_shape with { Channels = options.Channels![0] }, [.. options.Channels.Skip(1)]);
        _judges = new (int, int, int)[options.DiscriminatorChannels!.Count + 1];
        _judges[0] = (_shape.Channels, _shape.Height, _shape.Width);
        for (int i = 1; i < _judges.Length; i++)
        {
            (int margin, (int _, int height, int width)) = (PatchMargin(_judges[i - 1]), _judges[i - 1]);
            _judges[i] = (options.DiscriminatorChannels[i - 1], (height + 2 * margin - 2) / 2, (width + 2 * margin - 2) / 2);
        }
        _classifier = input.Classes > 0 ? new ImageStages(_shape, s_classifierChannels, Activation.Relu) : null;
    }

    public override bool UsesValidationLoss => false;

    public override string AveragedPart => Generator;

    public override int WidestLayer => _stages[^1].Channels;

    public override int PositionsPerRow => _stages[^1].Height * _stages[^1].Width;

    // Rows of the two domains take turns.
    public override int RowsTogether => 2;

    // A step holds both translators' stages, for an image, its translation and what comes back.
    public override long NumbersPerRow => 12 * (_stages.Sum(s => (long)s.Channels * s.Height * s.Width)
        + (long)_options.ResidualBlocks!.Value * _stages[^1].Channels * PositionsPerRow);

    /// <summary>Checks that images are large enough for the stages.</summary>
    /// <exception cref="InvalidOperationException">They are not; the message says how many stages they can have.</exception>
    public static void Check(CycleGanOptions options, ImageShape shape)
    {
        int side = Math.Min(shape.Height, shape.Width);
        ImageStages.CheckFits(
            shape, "their translator", nameof(options.Channels), options.Channels!.Count, 1 + ImageStages.Halvings(side));
        // The discriminator's halvings are rounded down.
        ImageStages.CheckFits(
            shape, "their discriminator", nameof(options.DiscriminatorChannels), options.DiscriminatorChannels!.Count,
            Math.Max(1, BitOperations.Log2((uint)side)));
    }

    protected override VectorScaler ScalerOf(RowStatistics rows)
    {
        var range = ImageRange.Of(rows.Moments[0]);
        float middle = range.Low + (range.High - range.Low) / 2;
        return VectorScaler.Of([.. Enumerable.Repeat(middle, Input.Width)], range.ScaleTo(2));
    }

    public override void Declare(Layers layers)
    {
        foreach (string domain in s_domains)
            DeclareGenerator($"{Generator}.{domain}");
        foreach (string domain in s_domains)
            DeclareDiscriminator($"{Discriminator}.{domain}");
        foreach (string domain in _options.AlignFraming ? s_domains : [])
        {
            layers.Buffer($"{Framing}.{domain}.rows", _shape.Height, _shape.Height);
            layers.Buffer($"{Framing}.{domain}.columns", _shape.Width, _shape.Width);
            layers.Buffer($"{Framing}.{domain}.outside", _shape.Channels, _shape.Height, _shape.Width);
        }
        if (_classifier is null)
            return;
        _classifier.DeclareEncoder(layers);
        layers.Linear($"{Classifier}.classes", _classifier.Innermost, Input.Classes);

        void DeclareGenerator(string name)
        {
            Convolution($"{name}.outer", _shape.Channels, _stages[0], ImageKernel);
            for (int i = 1; i < _stages.Length; i++)
                Convolution($"{name}.down.{i}", _stages[i - 1].Channels, _stages[i], Kernel);
            for (int i = 0; i < _options.ResidualBlocks; i++)
            {
                Convolution($"{name}.residual.{i}.0", _stages[^1].Channels, _stages[^1], Kernel);
                Convolution($"{name}.residual.{i}.1", _stages[^1].Channels, _stages[^1], Kernel);
            }
            for (int i = _stages.Length - 1; i > 0; i--)
            {
                layers.ConvTranspose2d(
                    $"{name}.up.{i}.convolution", _stages[i].Channels, _stages[i - 1].Channels, UpKernel, bias: false);
                layers.InstanceNorm($"{name}.up.{i}.normalization", _stages[i - 1].Channels);
            }
            layers.Conv2d($"{name}.image", _stages[0].Channels, _shape.Channels, ImageKernel);
        }

        void DeclareDiscriminator(string name)
        {
            layers.Conv2d($"{name}.1.convolution", _judges[0].Channels, _judges[1].Channels, PatchKernel);
            for (int i = 2; i < _judges.Length; i++)
                Convolution($"{name}.{i}", _judges[i - 1].Channels, _judges[i], PatchKernel);
            layers.Conv2d($"{name}.judgement", _judges[^1].Channels, 1, Kernel);
        }

        // The normalisation's own shift stands in for a bias, which it would take away. Of a single place it would leave
        // nothing.
        void Convolution(string name, int inputs, (int Channels, int Height, int Width) to, int kernel)
        {
            bool normalizes = to.Height * to.Width > 1;
            layers.Conv2d($"{name}.convolution", inputs, to.Channels, kernel, bias: !normalizes);
            if (normalizes)
                layers.InstanceNorm($"{name}.normalization", to.Channels);
        }
    }

    /// <remarks>As the paper says: kernels normal, of a small deviation; shifts zero. The classifier's are torch's own.</remarks>
    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        var random = new SplitMix64(SplitMix64.Derive(Input.Seed, RandomPurpose.Initialization, -1));
        foreach (TensorSpec spec in Declared().Tensors.Where(t => IsOf(t, Generator) || IsOf(t, Discriminator)))
        {
            float[] values = weights[spec.Name];
            if (spec.Shape.Length > 1)
            {
                NormalNumbers.Fill(ref random, values);
                for (int i = 0; i < values.Length; i++)
                    values[i] *= (float)Deviation;
            }
            else if (spec.Name.EndsWith(".bias", StringComparison.Ordinal))
            {
                Array.Clear(values);
            }
        }
        if (_options.AlignFraming)
            SetFraming(weights, rows);

        static bool IsOf(TensorSpec tensor, string part) => tensor.Name.StartsWith(part, StringComparison.Ordinal);
    }

    public override IReadOnlyList<UpdateRule> Updates(TorchLayers layers)
    {
        var adam = new AdamSettings(Beta1: 0.5);
        List<UpdateRule> updates =
        [
            new UpdateRule(Generator, layers.Parameters(Generator), Adam: adam),
            new UpdateRule(Discriminator, layers.Parameters(Discriminator), Adam: adam),
        ];
        if (_classifier is not null)
        {
            updates.Add(new UpdateRule(
                Classifier, [.. layers.Parameters("encoder"), .. layers.Parameters(Classifier)], RateScale: ClassifierRate));
        }
        return updates;
    }

    public override TrainingCallback? Follow(
        RowStatistics rows, TrainingData data, torch.Device device, Func<TrainedVector> snapshot) =>
        _history = _options.PoolSize > 0 ? new(_options.PoolSize, Input.Width, device) : null;

    public override IReadOnlyList<LossTerm> Loss(VectorStep step) => step.Update switch
    {
        GeneratorUpdate => GeneratorLoss(step),
        DiscriminatorUpdate => DiscriminatorLoss(step),
        _ => [new LossTerm(Classifier, CrossEntropy(step.Weights, step.Rows, step.Class!, step.Step.Random))],
    };

    public T Translate<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => Translate(w, rows, rows.Features, there: true);

    public T Reconstruct<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => Translate(w, rows, Translate(w, rows), there: false);

    /// <summary>Images of the other domain as ones of a domain, (B, D).</summary>
    public T ImagesOf<T>(Scope<T> w, int domain, T images)
        where T : struct, ITensor<T> => Painted(w, domain, Framed(w, domain, images));

    private void SetFraming(HostWeights weights, RowStatistics rows)
    {
        float[] images = rows.Samples[0].ToArray();
        ScalerOf(rows).Apply(images, images);
        int[] domains = [.. rows.Samples[1].ToArray().Chunk(rows.Samples[1].Width).Select(values => AlternatingRows.DomainOf(values))];
        ImageFraming[] of = [.. s_domains.Select((_, domain) => new ImageFraming(_shape, images, [.. domains.Select(d => d == domain)]))];
        for (int domain = 0; domain < 2; domain++)
        {
            (float[] inRows, float[] inColumns, float[] outside) = of[1 - domain].To(of[domain]);
            inRows.CopyTo(weights[$"{Framing}.{s_domains[domain]}.rows"], 0);
            inColumns.CopyTo(weights[$"{Framing}.{s_domains[domain]}.columns"], 0);
            outside.CopyTo(weights[$"{Framing}.{s_domains[domain]}.outside"], 0);
        }
    }

    // Images of the other domain in the frame of a domain.
    private T Framed<T>(Scope<T> w, int domain, T images)
        where T : struct, ITensor<T>
    {
        if (!_options.AlignFraming)
            return images;
        w = w.Of(Framing).Of(s_domains[domain]);
        T x = images.Reshape(-1, _shape.Channels, _shape.Height, _shape.Width);
        return (w["rows"].MatMul(x).MatMul(w["columns"]) + w["outside"]).Reshape(-1, Input.Width);
    }

    // Images in the frame of a domain as ones of it.
    private T Painted<T>(Scope<T> w, int domain, T images)
        where T : struct, ITensor<T>
    {
        w = w.Of(Generator).Of(s_domains[domain]);
        T x = images.Reshape(-1, _shape.Channels, _shape.Height, _shape.Width);
        x = Convolution(w.Of("outer"), x, _stages[0].Channels, stride: 1, ImageKernel).Apply(Function.Relu);
        for (int i = 1; i < _stages.Length; i++)
            x = Convolution(w.Of($"down.{i}"), x, _stages[i].Channels, stride: 2, Kernel).Apply(Function.Relu);
        for (int i = 0; i < _options.ResidualBlocks; i++)
        {
            Scope<T> block = w.Of($"residual.{i}");
            T inner = Convolution(block.Of("0"), x, _stages[^1].Channels, stride: 1, Kernel).Apply(Function.Relu);
            x += Convolution(block.Of("1"), inner, _stages[^1].Channels, stride: 1, Kernel);
        }
        for (int i = _stages.Length - 1; i > 0; i--)
        {
            Scope<T> stage = w.Of($"up.{i}");
            x = stage.ConvTranspose2d("convolution", x, stride: 2, padding: 1);
            // Twice as large as the stage; where the next had an odd size, there is a line too many.
            x = x.Slice(2, 0, _stages[i - 1].Height).Slice(3, 0, _stages[i - 1].Width);
            x = stage.InstanceNorm("normalization", x, _stages[i - 1].Channels).Apply(Function.Relu);
        }
        x = w.Conv2d("image", x, padding: ImageKernel / 2).Reshape(-1, Input.Width);
        return (_options.SkipConnection ? x + images * InputScale : x).Apply(Function.Tanh);
    }

    /// <summary>How much the patches of images are ones of a domain, (B, D) → (B, patches).</summary>
    public T Judge<T>(Scope<T> w, int domain, T images)
        where T : struct, ITensor<T>
    {
        w = w.Of(Discriminator).Of(s_domains[domain]);
        T x = images.Reshape(-1, _shape.Channels, _shape.Height, _shape.Width);
        for (int i = 1; i < _judges.Length; i++)
        {
            Scope<T> stage = w.Of($"{i}");
            x = Normalized(stage, stage.Conv2d("convolution", x, stride: 2, PatchMargin(_judges[i - 1])), _judges[i].Channels)
                .LeakyRelu(Slope);
        }
        x = w.Conv2d("judgement", x, padding: Kernel / 2);
        return x.Reshape(0, -1);
    }

    private static T Convolution<T>(Scope<T> w, T x, int channels, int stride, int kernel)
        where T : struct, ITensor<T> =>
        Normalized(w, w.Conv2d("convolution", x, stride, padding: kernel / 2), channels);

    // Where it is declared.
    private static T Normalized<T>(Scope<T> w, T x, int channels)
        where T : struct, ITensor<T> =>
        w.Has("normalization.weight") ? w.InstanceNorm("normalization", x, channels) : x;

    // More where the kernel would not fit.
    private static int PatchMargin((int Channels, int Height, int Width) stage) => Math.Min(stage.Height, stage.Width) > 1 ? 1 : 2;

    // From each row's domain into the other, or the way back.
    private T Translate<T>(Scope<T> w, VectorRows<T> rows, T images, bool there)
        where T : struct, ITensor<T>
    {
        if (_options.Direction != TranslationDirection.ByDomain)
            return ImagesOf(w, _options.Direction == TranslationDirection.FirstToSecond == there ? 1 : 0, images);
        T first = ImagesOf(w, 0, images), second = ImagesOf(w, 1, images);
        T isFirst = IsSecond(rows.Condition!.Value) * -1f, zero = w.Constant(0);
        return there ? T.IfLess(zero, isFirst, second, first) : T.IfLess(zero, isFirst, first, second);
    }

    // Above zero for the second domain, below for the first, (B, 1): conditions are centred.
    private static T IsSecond<T>(T condition)
        where T : struct, ITensor<T> => condition.Slice(1, -1, 1);

    // The rows of each domain, by their numbers.
    private static torch.Tensor[] Domains(VectorStep step)
    {
        torch.Tensor slot = IsSecond<TorchTensor>(step.Condition!).Value.reshape(-1);
        torch.Tensor isSecond = slot.gt(torch.zeros_like(slot));
        return [isSecond.logical_not().nonzero().reshape(-1), isSecond.nonzero().reshape(-1)];
    }

    private List<LossTerm> GeneratorLoss(VectorStep step)
    {
        Scope<TorchTensor> w = step.Weights;
        torch.Tensor[] of = Domains(step);
        List<torch.Tensor> adversarial = [], cycle = [], identity = [], semantic = [];
        for (int domain = 0; domain < 2; domain++)
        {
            torch.Tensor from = of[1 - domain];
            torch.Tensor others = step.Rows.index_select(0, from), own = step.Rows.index_select(0, of[domain]);
            bool keepsOwn = _options.IdentityWeight > 0 && own.shape[0] > 0;
            torch.Tensor framed = Framed<TorchTensor>(w, domain, others);
            torch.Tensor made = Painted<TorchTensor>(w, domain, keepsOwn ? torch.cat([framed, own], 0) : framed);
            if (keepsOwn)
                identity.Add(Difference(made.narrow(0, others.shape[0], own.shape[0]), own));
            if (others.shape[0] == 0)
                continue;
            torch.Tensor translated = made.narrow(0, 0, others.shape[0]);
            adversarial.Add(GanLoss.Generator(_options.Objective, Judge<TorchTensor>(w, domain, translated)));
            if (_options.CycleConsistencyWeight > 0)
                cycle.Add(Difference(ImagesOf<TorchTensor>(w, 1 - domain, translated), others));
            if (_classifier is not null && _options.SemanticConsistencyWeight > 0)
            {
                // In the frame of the originals, which the classifier knows.
                semantic.Add(CrossEntropy(
                    w, Framed<TorchTensor>(w, 1 - domain, translated), step.Class!.index_select(0, from), step.Step.Random));
            }
        }
        // Halves of least squares are not in this paper, and weights of the other terms go by it.
        double scale = _options.Objective == GanObjective.LeastSquares ? 2 : 1;
        List<LossTerm> terms = [];
        Add(Generator, adversarial, scale);
        Add("cycle", cycle, _options.CycleConsistencyWeight);
        Add("identity", identity, _options.IdentityWeight);
        Add("semantic", semantic, _options.SemanticConsistencyWeight);
        return terms;

        static torch.Tensor Difference(torch.Tensor a, torch.Tensor b) => a.Minus(b).abs().mean();

        void Add(string name, List<torch.Tensor> parts, double weight)
        {
            if (parts.Count > 0)
                terms.Add(new LossTerm(name, parts.Aggregate(TorchArithmetic.Plus).Scaled(weight)));
        }
    }

    private List<LossTerm> DiscriminatorLoss(VectorStep step)
    {
        Scope<TorchTensor> w = step.Weights;
        torch.Tensor[] of = Domains(step);
        torch.Tensor? sum = null;
        for (int domain = 0; domain < 2; domain++)
        {
            if (of.Any(rows => rows.shape[0] == 0))
                continue;
            torch.Tensor real = step.Rows.index_select(0, of[domain]), made;
            using (torch.no_grad())
            {
                made = ImagesOf<TorchTensor>(w, domain, step.Rows.index_select(0, of[1 - domain]));
                made = _history?.Exchange(domain, made, step.Step.Random) ?? made;
            }
            torch.Tensor loss = GanLoss.Discriminator(
                _options.Objective, Judge<TorchTensor>(w, domain, real), Judge<TorchTensor>(w, domain, made), smoothing: 0);
            sum = sum is null ? loss : sum.Plus(loss);
        }
        return sum is null ? [] : [new LossTerm(Discriminator, sum)];
    }

    // Of labels, one where they are and zeros where they are not known, (B, K): the mean over images that have one.
    private torch.Tensor CrossEntropy(Scope<TorchTensor> w, torch.Tensor images, torch.Tensor labels, SeededRandom random)
    {
        TorchTensor hidden = _classifier!.Encode<TorchTensor>(w, Disturbed(images, random)).Apply(Function.Relu), known = labels;
        TorchTensor logits = w.Linear($"{Classifier}.classes", hidden);
        return (known * (logits.LogSumExp(1) - logits)).Reduce(Reduction.Sum, 1).Value.sum().div(labels.sum().AtLeast(1));
    }

    // Images of other sizes and at other places, with noise: in exact pixels a translator would hide labels where nobody but
    // the classifier sees them.
    private torch.Tensor Disturbed(torch.Tensor images, SeededRandom random)
    {
        long rows = images.shape[0];
        torch.Tensor scale = random.Uniform([rows, 1], -Scale, Scale).exp(), none = torch.zeros_like(scale);
        torch.Tensor places = torch.cat(
            [scale, none, random.Uniform([rows, 1], -Shift, Shift), none, scale, random.Uniform([rows, 1], -Shift, Shift)], 1);
        torch.Tensor grid = torch.nn.functional.affine_grid(
            places.view(rows, 2, 3).to(images.dtype), [rows, _shape.Channels, _shape.Height, _shape.Width]);
        // What comes in is zero there: black, of images that begin at zero.
        torch.Tensor moved = torch.nn.functional.grid_sample(
            images.reshape(rows, _shape.Channels, _shape.Height, _shape.Width).Plus(1.0), grid, align_corners: false).Plus(-1.0);
        torch.Tensor deviation = random.Uniform([rows, 1, 1, 1], 0, Noise);
        return moved.Plus(random.Normal(moved.shape).mul(deviation).to(images.dtype));
    }
}

/// <summary>
/// Translations of earlier steps, of each domain: a discriminator sees one of them in the place of every other new one, so
/// that it does not forget what it knew (Shrivastava 2017).
/// </summary>
internal sealed class ImageHistory(int size, int width, torch.Device device) : TrainingCallback
{
    private readonly torch.Tensor _images = torch.zeros([2, size, width], device: device);
    private readonly torch.Tensor _counts = torch.zeros([2], torch.ScalarType.Float32, torch.CPU);

    // Checkpoints have to hold it.
    public override IReadOnlyList<(string Name, torch.Tensor Value)> State => [("history.images", _images), ("history.counts", _counts)];

    public override void AfterUpdate(int update, UpdateRule rule, StepContext step)
    {
    }

    /// <summary>
    /// New images of a domain (n, D) → as many that a discriminator sees. While there is room, each is kept and seen. Then
    /// each, by even chance, is seen, or takes the place of a kept one, which is seen instead.
    /// </summary>
    public torch.Tensor Exchange(int domain, torch.Tensor images, SeededRandom random)
    {
        long rows = images.shape[0];
        torch.Tensor kept = _images.select(0, domain), seen = images.detach().clone();
        float[] draws = new float[2 * rows];
        HostTensors.CopyTo(random.Uniform([rows, 2], 0, 1), draws);
        torch.Tensor counted = _counts.narrow(0, domain, 1);
        long count = (long)counted.item<float>();
        for (int row = 0; row < rows; row++)
        {
            bool isNew = count < size;
            if (!isNew && draws[2 * row] < 0.5f)
                continue;
            using torch.Tensor place = kept.select(0, isNew ? count++ : (long)(draws[2 * row + 1] * size));
            using torch.Tensor image = seen.select(0, row);
            using torch.Tensor old = place.clone();
            place.copy_(image);
            if (!isNew)
                image.copy_(old);
        }
        counted.Fill(count);
        return seen;
    }
}
