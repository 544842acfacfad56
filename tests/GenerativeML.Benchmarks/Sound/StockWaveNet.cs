using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace GenerativeML.Benchmarks;

/// <summary>
/// WaveNet as somebody writes it with TorchSharp alone, after the paper: one-hot samples, stock dilated convolutions of one
/// dimension, Adam with 0.001, gradients clipped at 1. Windows are those that ours trains on.
/// </summary>
internal sealed class StockWaveNet : IDisposable
{
    private const double LearningRate = 1e-3;

    private readonly WaveNetOptions _options;
    private readonly Conv1d _first, _hidden, _logits;
    private readonly (Conv1d Gates, Conv1d Residual, Conv1d Skip, int Dilation)[] _layers;
    private readonly Adam _optimizer;

    public StockWaveNet(WaveNetOptions options, int seed)
    {
        random.manual_seed(seed);
        _options = options;
        (int channels, int skip, int levels) = (options.ResidualChannels, options.SkipChannels, options.QuantizationLevels);
        _first = nn.Conv1d(levels, channels, 1);
        _layers =
        [
            .. Enumerable.Range(0, options.Layers * options.Cycles).Select(i => 1 << (i % options.Layers)).Select(dilation => (
                nn.Conv1d(channels, 2 * channels, 2, dilation: dilation), nn.Conv1d(channels, channels, 1), nn.Conv1d(channels, skip, 1), dilation)),
        ];
        (_hidden, _logits) = (nn.Conv1d(skip, skip, 1), nn.Conv1d(skip, levels, 1));
        _optimizer = optim.Adam([.. Modules().SelectMany(m => m.parameters())], LearningRate);
    }

    /// <summary>Trains on sounds by the µ-law until so much processor time was spent, and says how many steps that were.</summary>
    public int Train(IReadOnlyList<ushort[]> sounds, WaveNetNetwork network, Func<bool> isOver)
    {
        Parameter[] parameters = [.. Modules().SelectMany(m => m.parameters())];
        using var data = new SoundWindows([.. sounds.Select(sound => new Sound(sound, 0))], network, CPU);
        int steps = 0, window = _options.WindowLength;
        for (int epoch = 0; !isOver(); epoch++)
        {
            foreach (Batch batch in data.Epoch(epoch, _options.BatchSize!.Value, 0, default))
            {
                using DisposeScope scope = NewDisposeScope();
                Tensor each = F.cross_entropy(
                    Logits(batch[0].narrow(1, 0, window)), batch[0].narrow(1, 1, window), reduction: nn.Reduction.None);
                Tensor loss = (each * batch[2]).sum() / batch[2].sum();
                _optimizer.zero_grad();
                loss.backward();
                nn.utils.clip_grad_norm_(parameters, 1);
                _optimizer.step();
                steps++;
                if (isOver())
                    break;
            }
        }
        return steps;
    }

    /// <summary>The sum of −log p over a sound's samples behind silence.</summary>
    public double Nats(ushort[] sound, int silence)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        Tensor samples = tensor((long[])[silence, .. sound.Select(s => (long)s)]).unsqueeze(0);
        return F.cross_entropy(Logits(samples.narrow(1, 0, sound.Length)), samples.narrow(1, 1, sound.Length)).item<float>() * (double)sound.Length;
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        foreach (nn.Module module in Modules())
            module.Dispose();
    }

    private IEnumerable<nn.Module> Modules() =>
        [_first, _hidden, _logits, .. _layers.SelectMany(l => new nn.Module[] { l.Gates, l.Residual, l.Skip })];

    private Tensor Logits(Tensor before)
    {
        Tensor x = _first.call(F.one_hot(before, _options.QuantizationLevels).to(float32).transpose(1, 2));
        Tensor? skips = null;
        foreach ((Conv1d gates, Conv1d residual, Conv1d skip, int dilation) in _layers)
        {
            Tensor[] parts = gates.call(F.pad(x, [dilation, 0])).chunk(2, 1);
            Tensor open = parts[0].tanh() * parts[1].sigmoid();
            skips = skips is null ? skip.call(open) : skips + skip.call(open);
            x = x + residual.call(open);
        }
        return _logits.call(_hidden.call(skips!.relu()).relu());
    }
}
