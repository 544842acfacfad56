namespace GenerativeML;

/// <summary>What a U-Net is made of.</summary>
/// <param name="Shape">The images.</param>
/// <param name="Patch">Pixels each way that become one place of the first level.</param>
/// <param name="Channels">Channels of each level, from the image inwards; each further level has half the height and width.</param>
/// <param name="Blocks">Residual blocks of a level on the way in, and again on the way out.</param>
/// <param name="AttentionSides">Levels whose shorter side is one of these have attention; the middle always has.</param>
/// <param name="Heads">Heads of attention, whose number divides the channels where there is attention.</param>
/// <param name="Embedding">Numbers that say of a row what the blocks are to know, such as its noise.</param>
/// <param name="Dropout">The share of units that residual blocks leave out while training.</param>
internal sealed record UNetConfig(
    ImageShape Shape, int Patch, IReadOnlyList<int> Channels, int Blocks, IReadOnlyList<int> AttentionSides, int Heads,
    int Embedding, double Dropout)
{
    /// <summary>Positions and width of a text that attention looks at, too; null for none.</summary>
    public (int Positions, int Width)? Text { get; init; }

    /// <summary>Height and width of each level.</summary>
    public (int Height, int Width)[] Sizes { get; } =
    [
        .. Channels.Select((_, level) => (Halved(Shape.Height, Patch << level), Halved(Shape.Width, Patch << level))),
    ];

    // Halving again and again, up, is dividing by the power at once.
    private static int Halved(int side, int by) => (side + by - 1) / by;
}

/// <summary>
/// A U-Net (Ronneberger 2015) as diffusion models have it (Ho 2020, Dhariwal and Nichol 2021): residual blocks with group
/// normalisation, which an embedding of the noise scales and shifts; levels of half the size each, whose blocks' outputs
/// are handed on to those of the way out; attention at small sizes, to a text, too, where there is one: then each place
/// has a vector of its own, which is learned.
/// </summary>
internal sealed class UNet(UNetConfig config)
{
    private const int MaxGroups = 32, LeastOfGroup = 4; // channels

    private const double Slowest = 100; // the longest wave's length, in places, over 2π

    private readonly int _last = config.Channels.Count - 1;

    // As far as the neighbouring patches.
    private int FirstKernel => Math.Max(3, 2 * config.Patch - 1);

    /// <summary>Declares the layers, whose names begin so.</summary>
    public void Declare(Layers layers, string name)
    {
        IReadOnlyList<int> channels = config.Channels;
        layers.Conv2d($"{name}.first", config.Shape.Channels, channels[0], FirstKernel);
        for (int level = 0; level <= _last; level++)
        {
            if (level > 0)
                layers.Conv2d($"{name}.in.{level}.halve", channels[level - 1], channels[level], 3);
            for (int block = 0; block < config.Blocks; block++)
                Declare(layers, $"{name}.in.{level}.{block}", channels[level], level, HasAttention(level));
        }
        Declare(layers, $"{name}.middle.0", channels[_last], _last, attention: true);
        Declare(layers, $"{name}.middle.1", channels[_last], _last, attention: false);
        for (int level = _last; level >= 0; level--)
        {
            for (int block = 0; block < config.Blocks; block++)
                Declare(layers, $"{name}.out.{level}.{block}", 2 * channels[level], level, HasAttention(level));
            if (level > 0)
                layers.Conv2d($"{name}.out.{level}.double", channels[level], channels[level - 1], 1);
        }
        layers.GroupNorm($"{name}.normalization", channels[0]);
        if (config.Patch > 1)
            layers.ConvTranspose2d($"{name}.last", channels[0], config.Shape.Channels, 2 * config.Patch);
        else
            layers.Conv2d($"{name}.last", channels[0], config.Shape.Channels, 3);
    }

    /// <summary>
    /// Images (B, C, H, W), embeddings (B, E), texts (B, T, W) with which of their tokens count, (B, T) → (B, C, H, W).
    /// </summary>
    public T Run<T>(Scope<T> w, T images, T embedding, (T States, T Counts)? text = null)
        where T : struct, ITensor<T>
    {
        IReadOnlyList<int> channels = config.Channels;
        embedding = embedding.Apply(Function.Silu);
        T x = w.Conv2d("first", images, stride: config.Patch, padding: FirstKernel / 2);
        var handedOn = new Stack<T>();
        for (int level = 0; level <= _last; level++)
        {
            if (level > 0)
                x = w.Conv2d($"in.{level}.halve", x, stride: 2, padding: 1);
            for (int block = 0; block < config.Blocks; block++)
                handedOn.Push(x = Block(w.Of($"in.{level}.{block}"), x, channels[level], level));
        }
        x = Block(w.Of("middle.0"), x, channels[_last], _last);
        x = Block(w.Of("middle.1"), x, channels[_last], _last);
        for (int level = _last; level >= 0; level--)
        {
            for (int block = 0; block < config.Blocks; block++)
                x = Block(w.Of($"out.{level}.{block}"), T.Concat(1, x, handedOn.Pop()), 2 * channels[level], level);
            if (level > 0)
            {
                // Of an odd size there is a line too many.
                x = w.Conv2d($"out.{level}.double", x).Doubled();
                x = x.Slice(2, 0, config.Sizes[level - 1].Height).Slice(3, 0, config.Sizes[level - 1].Width);
            }
        }
        x = w.GroupNorm("normalization", x, Groups(channels[0])).Apply(Function.Silu);
        if (config.Patch == 1)
            return w.Conv2d("last", x, padding: 1);
        // Twice a patch wide, so that neighbours overlap and no edges of patches are seen.
        x = w.ConvTranspose2d("last", x, stride: config.Patch, padding: config.Patch / 2);
        return x.Slice(2, 0, config.Shape.Height).Slice(3, 0, config.Shape.Width);

        T Block(Scope<T> block, T x, int inputs, int level) => this.Block(block, x, embedding, text, inputs, level);
    }

    /// <summary>
    /// Sets where places of attention are at first: waves of rows and of columns (Vaswani 2017, in two directions).
    /// </summary>
    public void Initialize(HostWeights weights)
    {
        foreach (TensorSpec spec in weights.Specs.Where(spec => spec.Name.EndsWith(".place.weight", StringComparison.Ordinal)))
        {
            float[] places = weights[spec.Name];
            int width = (int)spec.Shape[1], half = (width + 1) / 2;
            int columns = config.Sizes.First(size => size.Height * size.Width == (int)spec.Shape[0]).Width;
            for (int i = 0; i < places.Length; i++)
            {
                (int place, int channel) = (i / width, i % width);
                (int at, int wave) = channel < half ? (place / columns, channel) : (place % columns, channel - half);
                double angle = at / Math.Pow(Slowest, (wave & ~1) / (double)half);
                places[i] = (float)(wave % 2 == 0 ? Math.Sin(angle) : Math.Cos(angle));
            }
        }
    }

    // Names as above; a block that attends has weights for it.
    private void Declare(Layers layers, string name, int inputs, int level, bool attention)
    {
        int outputs = config.Channels[level];
        layers.GroupNorm($"{name}.normalization", inputs);
        layers.Conv2d($"{name}.0", inputs, outputs, 3);
        layers.Linear($"{name}.embedding", config.Embedding, 2 * outputs);
        // Zero at first: a block begins as one that changes nothing.
        layers.Parameter($"{name}.1.weight", 0, outputs, outputs, 3, 3);
        layers.Parameter($"{name}.1.bias", 0, outputs);
        if (inputs != outputs)
            layers.Conv2d($"{name}.shortcut", inputs, outputs, 1);
        if (!attention)
            return;
        layers.GroupNorm($"{name}.attention.normalization", outputs);
        layers.Linear($"{name}.attention.query_key_value", outputs, 3 * outputs);
        layers.Linear($"{name}.attention.projection", outputs, outputs);
        if (config.Text is not { } text)
            return;
        layers.Parameter($"{name}.place.weight", 0, config.Sizes[level].Height * config.Sizes[level].Width, outputs);
        layers.GroupNorm($"{name}.reading.normalization", outputs);
        layers.Linear($"{name}.reading.query", outputs, outputs);
        layers.Linear($"{name}.reading.key_value", text.Width, 2 * outputs);
        layers.Linear($"{name}.reading.projection", outputs, outputs);
    }

    private T Block<T>(Scope<T> w, T x, T embedding, (T States, T Counts)? text, int inputs, int level)
        where T : struct, ITensor<T>
    {
        int outputs = config.Channels[level];
        T h = w.GroupNorm("normalization", x, Groups(inputs)).Apply(Function.Silu);
        h = w.Conv2d("0", h, padding: 1);
        T told = w.Linear("embedding", embedding).Reshape(0, 2 * outputs, 1, 1);
        h = h.GroupNorm(Groups(outputs)) * (told.Slice(1, 0, outputs) + 1f) + told.Slice(1, outputs, outputs);
        h = w.Conv2d("1", w.Dropout(h.Apply(Function.Silu), config.Dropout), padding: 1);
        x = h + (inputs == outputs ? x : w.Conv2d("shortcut", x));
        if (!w.Has("attention.projection.weight"))
            return x;
        (int height, int width) = config.Sizes[level];
        int positions = height * width;
        x = Beside("attention", (part, tokens) =>
        {
            T qkv = part.Linear("query_key_value", tokens);
            return Attention.Attend(
                qkv.Slice(2, 0, outputs), qkv.Slice(2, outputs, outputs), qkv.Slice(2, 2 * outputs, outputs), config.Heads,
                positions, positions, outputs);
        });
        if (text is not { } read)
            return x;
        return Beside("reading", (part, tokens) =>
        {
            T kv = part.Linear("key_value", read.States);
            return Attention.Attend(
                part.Linear("query", tokens), kv.Slice(2, 0, outputs), kv.Slice(2, outputs, outputs), config.Heads,
                positions, config.Text!.Value.Positions, outputs, read.Counts);
        });

        // x and what a layer of attention adds to it.
        T Beside(string name, Func<Scope<T>, T, T> attend)
        {
            Scope<T> part = w.Of(name);
            T tokens = part.GroupNorm("normalization", x, Groups(outputs)).Reshape(0, outputs, positions).Transpose(0, 2, 1);
            // What a text puts on the left has to find where that is: convolutions see places by the image's edges alone.
            if (text is not null)
                tokens += w["place.weight"];
            T seen = part.Linear("projection", attend(part, tokens));
            return x + seen.Transpose(0, 2, 1).Reshape(0, outputs, height, width);
        }
    }

    private bool HasAttention(int level) =>
        config.AttentionSides.Contains(Math.Min(config.Sizes[level].Height, config.Sizes[level].Width));

    // As many as the papers have, fewer where a group would be of too few channels.
    private static int Groups(int channels)
    {
        int groups = Math.Clamp(channels / LeastOfGroup, 1, MaxGroups);
        while (channels % groups > 0)
            groups--;
        return groups;
    }
}
