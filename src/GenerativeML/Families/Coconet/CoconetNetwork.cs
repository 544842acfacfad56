using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Coconet (Huang 2017, https://arxiv.org/abs/1903.07227), without weights: residual blocks of convolutions over a picture
/// of steps and pitches, with a channel for the known notes of each voice and one for which are known. What comes out are
/// the logits of each note's pitch, whatever part of them was hidden: an orderless NADE (Uria 2014).
/// </summary>
internal sealed class CoconetNetwork : Network
{
    private const int Kernel = 3;

    private readonly int _groups; // of normalisation: of four channels, where that goes

    public CoconetNetwork(CoconetOptions options, MusicRange range)
    {
        (Options, Range) = (options, range);
        _groups = Enumerable.Range(1, Math.Max(1, options.Channels / 4)).Last(groups => options.Channels % groups == 0);
        Tensors = Declared().Tensors;
    }

    public CoconetOptions Options { get; }

    public MusicRange Range { get; }

    public IReadOnlyList<TensorSpec> Tensors { get; }

    /// <summary>Notes of a window.</summary>
    public int Notes => Range.Voices * Options.Window;

    public override int PositionsPerRow => Options.Window * Range.Classes;

    public override bool StaysInBFloat16 => true;

    // Each block's inner and outer channels, with what normalises them, and their gradients.
    public override long NumbersPerRow => (long)PositionsPerRow * (10L * Options.Blocks * Options.Channels + 6L * Range.Voices);

    public override void Declare(Layers layers)
    {
        int channels = Options.Channels;
        layers.Conv2d("first", 2 * Range.Voices + 1, channels, Kernel);
        for (int i = 0; i < Options.Blocks; i++)
        {
            layers.GroupNorm($"blocks.{i}.norm_1", channels);
            layers.Conv2d($"blocks.{i}.conv_1", channels, channels, Kernel);
            layers.GroupNorm($"blocks.{i}.norm_2", channels);
            layers.Conv2d($"blocks.{i}.conv_2", channels, channels, Kernel);
        }
        layers.GroupNorm("norm", channels);
        layers.Conv2d("last", channels, Range.Voices, Kernel);
    }

    /// <summary>
    /// The classes of known notes, one of C is one, (B, V·W·C), zeros for others; which are known, (B, V·W); and where the
    /// window is within the piece, (B, W) → logits of each note's class, (B, V·W·C).
    /// </summary>
    public T Logits<T>(Scope<T> w, T notes, T known, T inside)
        where T : struct, ITensor<T>
    {
        int voices = Range.Voices, window = Options.Window, classes = Range.Classes;
        T picture = notes.Reshape(-1, voices, window, classes), none = picture * 0f;
        T x = T.Concat(
            1, picture, none + known.Reshape(-1, voices, window, 1), none.Slice(1, 0, 1) + inside.Reshape(-1, 1, window, 1));
        x = w.Conv2d("first", x, padding: Kernel / 2);
        for (int i = 0; i < Options.Blocks; i++)
        {
            Scope<T> block = w.Of($"blocks.{i}");
            T inner = block.Conv2d("conv_1", block.GroupNorm("norm_1", x, _groups).Apply(Function.Relu), padding: Kernel / 2);
            inner = block.Dropout(block.GroupNorm("norm_2", inner, _groups).Apply(Function.Relu), Options.Dropout);
            x += block.Conv2d("conv_2", inner, padding: Kernel / 2);
        }
        x = w.Conv2d("last", w.GroupNorm("norm", x, _groups).Apply(Function.Relu), padding: Kernel / 2);
        return x.Reshape(-1, (long)voices * window * classes);
    }

    /// <summary>The mean of −log p over the hidden notes of each window, and over windows.</summary>
    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        (torch.Tensor notes, torch.Tensor inside, torch.Tensor hidden) = (batch[0], batch[1], batch[2]);
        torch.Tensor known = inside.repeat(1, Range.Voices).Minus(hidden); // within the piece, what is not hidden
        torch.Tensor each = torch.zeros([batch.Rows, Notes, Range.Classes], device: notes.device)
            .scatter_(-1, notes.unsqueeze(-1), known.unsqueeze(-1));
        torch.Tensor logits = Logits<TorchTensor>(w, each, known, inside).Value.to(torch.ScalarType.Float32).reshape(-1, Notes, Range.Classes);
        torch.Tensor logs = logits.log_softmax(-1).gather(-1, notes.unsqueeze(-1)).squeeze(-1);
        return [new("loss", logs.mul(hidden).sum(1L).div(hidden.sum(1L)).mean().neg())];
    }

    /// <summary>Known notes, which are known, and where there is music → logits.</summary>
    internal sealed class LogitsPass(CoconetNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => [network.Logits(w, inputs[0], inputs[1], inputs[2])];
    }
}
