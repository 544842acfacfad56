using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace GenerativeML.Benchmarks;

/// <summary>
/// A character model as somebody writes it with TorchSharp alone: an embedding, an LSTM (or GRU) and a dense layer,
/// AdamW with one cycle, gradients clipped at 1, the state carried from window to window.
/// </summary>
internal sealed class StockLstm : IDisposable
{
    private const double LearningRate = 4e-3;
    private const int Window = 1024;

    private readonly Embedding _embedding;
    private readonly nn.Module _cells;
    private readonly Linear _output;
    private readonly Parameter[] _parameters;
    private readonly optim.Optimizer _optimizer;
    private readonly optim.lr_scheduler.LRScheduler _schedule;
    private readonly Tensor _streams, _held;
    private readonly int _window;
    private Tensor? _hidden, _memory;
    private int _step;

    public StockLstm(string text, double trainingShare, RecurrentLanguageModelOptions options, int seed)
    {
        random.manual_seed(seed);
        (int width, int layers, _window) = (options.Width, options.Layers, options.WindowLength);
        char[] characters = [.. text.Distinct().Order()];
        long[] tokens = [.. text.Select(c => (long)Array.BinarySearch(characters, c))];
        int first = (int)(text.Length * trainingShare), rows = options.BatchSize!.Value;
        _held = tensor(tokens[first..]).unsqueeze(0);
        _streams = tensor(tokens[..(first / rows * rows)]).view(rows, -1);
        _embedding = nn.Embedding(characters.Length, width);
        _cells = options.Cell == RecurrentCell.Lstm
            ? nn.LSTM(width, width, layers, batchFirst: true) : nn.GRU(width, width, layers, batchFirst: true);
        _output = nn.Linear(width, characters.Length);
        _parameters = [.. _embedding.parameters(), .. _cells.parameters(), .. _output.parameters()];
        _optimizer = optim.AdamW(_parameters, LearningRate);
        _schedule = optim.lr_scheduler.OneCycleLR(_optimizer, LearningRate, total_steps: options.Steps!.Value + 1);
    }

    public void Train(int steps)
    {
        for (int end = _step + steps; _step < end; _step++)
        {
            using TorchSharp.DisposeScope scope = NewDisposeScope();
            long at = (long)_step * _window % (_streams.size(1) - _window);
            Tensor tokens = _streams.narrow(1, at, _window + 1);
            Tensor loss = Loss(tokens);
            _optimizer.zero_grad();
            loss.backward();
            nn.utils.clip_grad_norm_(_parameters, 1);
            _optimizer.step();
            _schedule.step();
        }
    }

    /// <summary>The mean loss over the held-back text, the state carried through all of it.</summary>
    public double ValidationLoss()
    {
        using IDisposable noGradient = no_grad();
        Forget();
        double sum = 0;
        long count = _held.size(1) - 1;
        for (long at = 0; at < count; at += Window)
        {
            using TorchSharp.DisposeScope scope = NewDisposeScope();
            long length = Math.Min(Window, count - at);
            sum += Loss(_held.narrow(1, at, length + 1)).item<float>() * length;
        }
        return sum / count;
    }

    public void Dispose()
    {
        Forget();
        _optimizer.Dispose();
        _embedding.Dispose();
        _cells.Dispose();
        _output.Dispose();
        _streams.Dispose();
        _held.Dispose();
    }

    private Tensor Loss(Tensor tokens)
    {
        long length = tokens.size(1) - 1;
        Tensor x = _embedding.call(tokens.narrow(1, 0, length)), y, hidden;
        Tensor? memory = null;
        if (_cells is LSTM lstm)
            (y, hidden, memory) = lstm.call(x, _hidden is null ? null : (_hidden, _memory!));
        else
            (y, hidden) = ((GRU)_cells).call(x, _hidden);
        Forget();
        (_hidden, _memory) = (hidden.detach().DetachFromDisposeScope(), memory?.detach().DetachFromDisposeScope());
        Tensor logits = _output.call(y);
        return F.cross_entropy(logits.reshape(-1, logits.size(-1)), tokens.narrow(1, 1, length).reshape(-1));
    }

    private void Forget()
    {
        _hidden?.Dispose();
        _memory?.Dispose();
        (_hidden, _memory) = (null, null);
    }
}
