using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Coconet (Huang 2017, https://arxiv.org/abs/1903.07227), without weights: from the known notes of a window, and which are
/// known, the logits of each note's pitch, whatever part of them was hidden: an orderless NADE (Uria 2014). Convolutions go
/// over time alone, and a step's voices and pitches are features: with pictures of pitches, as in the paper, chorales were
/// told no better, and training took nine times as long.
/// </summary>
internal sealed class CoconetNetwork : Network
{
    private const int Kernel = 3;

    public CoconetNetwork(CoconetOptions options, MusicRange range)
    {
        (Options, Range) = (options, range);
        Tensors = Declared().Tensors;
    }

    public CoconetOptions Options { get; }

    public MusicRange Range { get; }

    public IReadOnlyList<TensorSpec> Tensors { get; }

    /// <summary>Notes of a window.</summary>
    public int Notes => Range.Voices * Options.Window;

    /// <summary>Steps of the metre. Models that were saved before there was one have none, which is as one step.</summary>
    public int Metre => Options.MetreSteps ?? 1;

    public override int PositionsPerRow => Options.Window;

    // Taps, two layers and their sum of each block, with gradients; pictures of notes and logits.
    public override long NumbersPerRow => (long)Options.Window * (16L * Options.Blocks * Options.Width + 8L * Range.Voices * Range.Classes + 2L * Metre);

    public override void Declare(Layers layers)
    {
        layers.Linear("first", Range.Voices * (Range.Classes + 1) + Metre, Options.Width);
        DilatedConvolution.DeclareStack(layers, "blocks", Options.Width, Options.Width, Options.Blocks, Kernel);
        layers.Linear("last", Options.Width, Range.Voices * Range.Classes);
    }

    /// <summary>
    /// The classes of known notes, one of C is one, (B, V·W·C), zeros for others; which are known, (B, V·W); and of each step
    /// within the piece where it is in the metre, one of M is one, zeros for others, (B, W·M) → logits of each note's class,
    /// (B, V·W·C).
    /// </summary>
    public T Logits<T>(Scope<T> w, T notes, T known, T inside)
        where T : struct, ITensor<T>
    {
        int voices = Range.Voices, window = Options.Window, classes = Range.Classes;
        // Of each step all voices side by side.
        T played = notes.Reshape(-1, voices, window, classes).Transpose(0, 2, 1, 3).Reshape(-1, window, (long)voices * classes);
        T x = T.Concat(2, played, known.Reshape(-1, voices, window).Transpose(0, 2, 1), inside.Reshape(-1, window, Metre));
        x = w.Linear("first", x);
        x = DilatedConvolution.RunStack(w, "blocks", x, window, Options.Blocks, Kernel, causal: false, Options.Dropout);
        T logits = w.Linear("last", w.Dropout(x, Options.Dropout)).Reshape(-1, window, voices, classes);
        return logits.Transpose(0, 2, 1, 3).Reshape(-1, (long)voices * window * classes);
    }

    /// <summary>Says of a window's steps, as many as are within the piece, where they are in the metre, (W·M).</summary>
    public void Place(Span<float> inside, int start, int steps)
    {
        for (int step = 0; step < steps; step++)
            inside[step * Metre + (start + step) % Metre] = 1;
    }

    /// <summary>The mean of −log p over the hidden notes of each window, and over windows.</summary>
    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        (torch.Tensor notes, torch.Tensor inside, torch.Tensor hidden) = (batch[0], batch[1], batch[2]);
        // Within the piece, what is not hidden.
        torch.Tensor known = inside.view(batch.Rows, Options.Window, Metre).sum(-1L).repeat(1, Range.Voices).Minus(hidden);
        torch.Tensor each = torch.zeros([batch.Rows, Notes, Range.Classes], device: notes.device)
            .scatter_(-1, notes.unsqueeze(-1), known.unsqueeze(-1));
        torch.Tensor logits = Logits<TorchTensor>(w, each, known, inside).Value.to(torch.ScalarType.Float32).reshape(-1, Notes, Range.Classes);
        torch.Tensor logs = logits.log_softmax(-1).gather(-1, notes.unsqueeze(-1)).squeeze(-1);
        return [new("loss", logs.mul(hidden).sum(1L).div(hidden.sum(1L)).mean().neg())];
    }

    /// <summary>Known notes, which are known, and where in the metre there is music → logits.</summary>
    internal sealed class LogitsPass(CoconetNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => [network.Logits(w, inputs[0], inputs[1], inputs[2])];
    }
}
