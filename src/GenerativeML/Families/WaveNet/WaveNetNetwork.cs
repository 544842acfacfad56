using TorchSharp;

namespace GenerativeML;

/// <summary>
/// WaveNet (van den Oord 2016, https://arxiv.org/abs/1609.03499), without weights: an embedding of the sample before, gated
/// layers of dilated causal convolutions of two taps, what each hands on past the others, and two dense layers. A class of
/// sounds, where there are any, shifts all gates, and so do frames of a spectrogram those of their own samples.
/// </summary>
internal sealed class WaveNetNetwork : Network
{
    private const int Kernel = 2;
    private const float Scatter = 0.03f; // of first embeddings, in shares of what the loudest differ by from silence

    /// <param name="options">Options that are decided.</param>
    /// <param name="conditions">How many classes of sounds there are; zero without.</param>
    public WaveNetNetwork(WaveNetOptions options, int conditions)
    {
        (Options, Conditions) = (options, conditions);
        Dilations = [.. Enumerable.Range(0, options.Cycles * options.Layers).Select(i => 1 << (i % options.Layers))];
        Tensors = Declared().Tensors;
    }

    public WaveNetOptions Options { get; }

    public int Conditions { get; }

    public IReadOnlyList<TensorSpec> Tensors { get; }

    /// <summary>How far back the second tap of each layer is.</summary>
    public IReadOnlyList<int> Dilations { get; }

    /// <summary>Samples before one that it is predicted from.</summary>
    public int ReceptiveField => (int)Options.ReceptiveField;

    /// <summary>Numbers of a spectrogram that a sample is told of: those of its frame, of the one before and of the next.</summary>
    public int FrameWidth => 3 * Options.SpectrogramBands;

    /// <summary>Samples of which windows have to begin and to end with a multiple.</summary>
    public int Frame => Options.SpectrogramBands > 0 ? Options.SpectrogramHop : 1;

    /// <summary>What stands before the first sample: silence.</summary>
    public int Silence => Options.QuantizationLevels / 2;

    public override int PositionsPerRow => Options.WindowLength;

    // Taps, gates, their product and sums of each layer with their gradients; logits.
    public override long NumbersPerRow => (long)Options.WindowLength
        * (Dilations.Count * (12L * Options.ResidualChannels + 2L * Options.SkipChannels) + 3L * Options.QuantizationLevels);

    public override void Declare(Layers layers)
    {
        int channels = Options.ResidualChannels, skip = Options.SkipChannels;
        layers.Embedding("samples", Options.QuantizationLevels, channels);
        if (Conditions > 0)
            layers.Embedding("conditions", Conditions, channels);
        if (FrameWidth > 0)
            layers.Linear("spectrogram", FrameWidth, channels);
        for (int i = 0; i < Dilations.Count; i++)
        {
            DilatedConvolution.Declare(layers, $"layers.{i}.gates", channels, 2 * channels, Kernel);
            if (Conditions > 0)
                layers.Linear($"layers.{i}.condition", channels, 2 * channels, bias: false);
            if (FrameWidth > 0)
                layers.Linear($"layers.{i}.spectrogram", channels, 2 * channels, bias: false);
            if (i < Dilations.Count - 1)
                layers.Linear($"layers.{i}.residual", channels, channels);
            layers.Linear($"layers.{i}.skip", channels, skip);
        }
        layers.Linear("hidden", skip, skip);
        layers.Linear("logits", skip, Options.QuantizationLevels);
    }

    /// <summary>
    /// First weights: embeddings begin on a line, the levels in their order, and so near each other that what is learned of
    /// one level holds for its neighbours, too.
    /// </summary>
    public void Initialize(HostWeights weights)
    {
        (float[] embeddings, int levels, int channels) = (weights["samples.weight"], Options.QuantizationLevels, Options.ResidualChannels);
        float[] along = embeddings[..channels];
        for (int i = 0; i < embeddings.Length; i++)
        {
            float level = 2f * (i / channels) / (levels - 1) - 1;
            embeddings[i] = level * along[i % channels] + Scatter * embeddings[i];
        }
    }

    /// <summary>
    /// The samples before each of so many, (B, T), the sounds' classes, (B, 1), or whatever where there are none, and where
    /// spectrograms are followed their T / hop frames, (B, F·3·bands) → logits of each, (B, T, levels).
    /// </summary>
    public T Logits<T>(Scope<T> w, T before, T condition, T? frames, int steps)
        where T : struct, ITensor<T>
    {
        T x = w["samples.weight"].Embed(before);
        int spectra = steps / Frame;
        T? heard = Heard(w, frames is { } all ? all.Reshape(-1, spectra, FrameWidth) : null);
        T? of = Condition(w, condition) is { } known ? known.Unsqueeze(1) : null;
        T? skips = null;
        for (int i = 0; i < Dilations.Count; i++)
        {
            T gates = DilatedConvolution.Run(w, $"layers.{i}.gates", x, steps, Kernel, Dilations[i], causal: true);
            if (heard is { } given)
            {
                int width = 2 * Options.ResidualChannels;
                T each = w.Linear($"layers.{i}.spectrogram", given).Unsqueeze(2); // the same for all samples of a frame
                gates = (gates.Reshape(-1, spectra, Frame, width) + each).Reshape(-1, steps, width);
            }
            (T? next, T skip) = Layer(w, i, gates, of, 2);
            skips = skips is { } sum ? sum + skip : skip;
            x = next is { } more ? x + more : x;
        }
        return Output(w, skips!.Value);
    }

    /// <summary>
    /// One step: the sample before it, (B, 1), the sounds' classes, (B, 1), of each layer what came into it as many steps ago
    /// as its dilation says, (B, layers·R), and where spectrograms are followed the frame, (B, 3·bands) → logits, (B, levels),
    /// and what comes into each layer now.
    /// </summary>
    public (T Logits, T Into) Step<T>(Scope<T> w, T before, T condition, T past, T? frame)
        where T : struct, ITensor<T>
    {
        int channels = Options.ResidualChannels;
        T x = w["samples.weight"].Embed(before.Squeeze(1).ToIndices());
        T? of = Condition(w, condition.ToIndices()), heard = Heard(w, frame), skips = null;
        var into = new T[Dilations.Count];
        for (int i = 0; i < Dilations.Count; i++)
        {
            into[i] = x;
            T gates = w.Linear($"layers.{i}.gates", T.Concat(1, past.Slice(1, (long)i * channels, channels), x));
            gates = heard is { } given ? gates + w.Linear($"layers.{i}.spectrogram", given) : gates;
            (T? next, T skip) = Layer(w, i, gates, of, 1);
            skips = skips is { } sum ? sum + skip : skip;
            x = next is { } more ? x + more : x;
        }
        return (Output(w, skips!.Value), T.Concat(1, into));
    }

    /// <summary>The mean cross-entropy of samples, in nats.</summary>
    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        (torch.Tensor samples, torch.Tensor condition, torch.Tensor counts) = (batch[0], batch[1], batch[2]);
        int steps = (int)samples.size(1) - 1;
        TorchTensor? frames = FrameWidth > 0 ? (TorchTensor)batch[3] : default(TorchTensor?);
        torch.Tensor logits = Logits<TorchTensor>(w, samples.narrow(1, 0, steps), condition, frames, steps);
        torch.Tensor logs = logits.to(torch.ScalarType.Float32).log_softmax(-1).gather(-1, samples.narrow(1, 1, steps).unsqueeze(-1)).squeeze(-1);
        return [new("loss", logs.mul(counts).sum().div(counts.sum()).neg())];
    }

    private T? Condition<T>(Scope<T> w, T condition)
        where T : struct, ITensor<T> => Conditions > 0 ? w["conditions.weight"].Embed(condition.Squeeze(1)) : null;

    private static T? Heard<T>(Scope<T> w, T? frames)
        where T : struct, ITensor<T> => frames is { } given ? w.Linear("spectrogram", given).Apply(Function.Relu) : null;

    /// <summary>
    /// What a window is told of a spectrogram, its frames from the first on, each beside its neighbours, (F·3·bands); zeros
    /// where there are none.
    /// </summary>
    public void Place(Span<float> window, ReadOnlySpan<float> spectrogram, int first)
    {
        int bands = Options.SpectrogramBands;
        for (int frame = 0; frame * FrameWidth < window.Length; frame++)
        {
            int start = (first + frame - 1) * bands, from = Math.Max(0, start), to = Math.Min(spectrogram.Length, start + FrameWidth);
            if (from < to)
                spectrogram[from..to].CopyTo(window.Slice(frame * FrameWidth + from - start));
        }
    }

    /// <summary>The spectrogram that is followed of samples by the µ-law; of networks that follow none, nothing.</summary>
    public float[] Spectrogram(ReadOnlySpan<ushort> samples)
    {
        if (FrameWidth == 0)
            return [];
        float[] sound = new float[samples.Length];
        for (int i = 0; i < sound.Length; i++)
            sound[i] = SoundClip.FromMuLaw(samples[i], Options.QuantizationLevels);
        return new MelSpectrogram(Options.SpectrogramBands, Options.SpectrogramHop, Options.SampleRate).Frames(sound);
    }

    private (T? Next, T Skip) Layer<T>(Scope<T> w, int i, T gates, T? condition, int axis)
        where T : struct, ITensor<T>
    {
        int channels = Options.ResidualChannels;
        if (condition is { } known)
            gates += w.Linear($"layers.{i}.condition", known);
        T open = gates.Slice(axis, 0, channels).Apply(Function.Tanh) * gates.Slice(axis, channels, channels).Apply(Function.Sigmoid);
        open = w.Dropout(open, Options.Dropout);
        return (i < Dilations.Count - 1 ? w.Linear($"layers.{i}.residual", open) : null, w.Linear($"layers.{i}.skip", open));
    }

    private static T Output<T>(Scope<T> w, T skips)
        where T : struct, ITensor<T> =>
        w.Linear("logits", w.Linear("hidden", skips.Apply(Function.Relu)).Apply(Function.Relu));

    /// <summary>Samples, each behind the one before it, classes, and frames if any → log p of all but the first, (B, steps).</summary>
    internal sealed class LogPass(WaveNetNetwork network, int steps) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            T samples = inputs[0].ToIndices();
            T logits = network.Logits(w, samples.Slice(1, 0, steps), inputs[1].ToIndices(), inputs.Length > 2 ? inputs[2] : null, steps);
            T own = logits.Gather(samples.Slice(1, 1, steps).Unsqueeze(2));
            return [(own - logits.LogSumExp(2)).Squeeze(2)];
        }
    }

    /// <summary>The samples before each of a window, classes, and frames if any → logits of each, (B, window·levels).</summary>
    internal sealed class LogitsPass(WaveNetNetwork network, int steps) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            T logits = network.Logits(w, inputs[0].ToIndices(), inputs[1].ToIndices(), inputs.Length > 2 ? inputs[2] : null, steps);
            return [logits.Reshape(-1, (long)steps * network.Options.QuantizationLevels)];
        }
    }

    /// <summary>The sample before, classes, what came into layers, and the frame if any → logits and what comes into them.</summary>
    internal sealed class StepPass(WaveNetNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            (T logits, T into) = network.Step(w, inputs[0], inputs[1], inputs[2], inputs.Length > 3 ? inputs[3] : null);
            return [logits, into];
        }
    }
}
