using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>The constants of Adam (Kingma and Ba 2015), by default the paper's own.</summary>
internal sealed record AdamSettings(double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8);

/// <summary>A parameter (rows, columns) that Muon moves: so many matrices, one below the other.</summary>
internal readonly record struct MuonMatrix(torch.Tensor Value, int Parts = 1)
{
    /// <summary>Rows of a part.</summary>
    public long Rows => Value.shape[0] / Parts;

    /// <summary>Columns.</summary>
    public long Columns => Value.shape[1];
}

/// <summary>
/// Which of a rule's parameters Muon moves, by a rate in shares of AdamW's, and a decay in shares of its own per step.
/// </summary>
internal sealed record MuonSettings(
    IReadOnlyList<MuonMatrix> Matrices, double RateScale, double Momentum = 0.95, double WeightDecay = 0);

/// <summary>
/// AdamW (Loshchilov and Hutter 2019) for all parameters but the matrices that Muon (Jordan 2024,
/// https://kellerjordan.github.io/posts/muon/) is to move: by their gradients' running mean with all singular values
/// made about one, so that rare directions are learned as fast as common ones. Parameters are laid end to end in one
/// tensor, with their gradients likewise: a step costs the same handful of operator calls however many there are.
/// </summary>
internal sealed class FlatOptimizer : IDisposable
{
    /// <summary>How many numbers can be summed with the gradients.</summary>
    public const int Notes = 32;

    private const int Rate = 9; // its place among the arguments of AdamW

    private readonly List<IDisposable> _owned = [];
    private readonly torch.Tensor[] _parameters; // Muon's, then those that weight decay concerns, then the others
    private readonly torch.Tensor _gradients, _exchanged; // those, and what is summed with them
    private readonly Scalar? _clipNorm;
    private readonly object[] _adam;
    private readonly MuonSettings? _muon;
    private readonly Scalar? _momentum;
    private readonly List<Group> _groups = [];

    /// <summary>
    /// Takes the parameters over: their storage becomes one tensor's, their values stay. Weight decay is that of
    /// matrices, in shares of the learning rate per step; a norm of zero is no limit.
    /// </summary>
    public FlatOptimizer(
        IReadOnlyList<torch.Tensor> parameters, double weightDecay, double clipNorm, AdamSettings? adam = null,
        MuonSettings? muon = null)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        MuonMatrix[] matrices = [.. (muon?.Matrices ?? []).OrderBy(m => m.Rows).ThenBy(m => m.Columns)];
        torch.Tensor[] others =
        [
            .. parameters.Where(p => !matrices.Any(m => ReferenceEquals(m.Value, p))).OrderByDescending(IsMatrix),
        ];
        _parameters = [.. matrices.Select(m => m.Value), .. others];
        torch.Tensor weights = Own(torch.cat([.. _parameters.Select(p => p.detach().reshape(-1))]));
        _exchanged = Own(torch.zeros(weights.numel() + Notes, torch.ScalarType.Float32, weights.device));
        _gradients = Own(_exchanged.narrow(0, 0, weights.numel()));
        long at = 0;
        foreach (torch.Tensor p in _parameters)
        {
            p.set_(weights.narrow(0, at, p.numel()).view(p.shape));
            p.grad = _gradients.narrow(0, at, p.numel()).view(p.shape);
            at += p.numel();
        }
        _clipNorm = clipNorm > 0 ? Own((Scalar)clipNorm) : null;

        long first = matrices.Sum(m => m.Value.numel()), rest = weights.numel() - first;
        if (muon is not null)
        {
            (_muon, _momentum) = (muon, Own((Scalar)muon.Momentum));
            torch.Tensor mean = Keep("momentum", first);
            at = 0;
            foreach (IGrouping<(long Rows, long Columns), MuonMatrix> same in matrices.GroupBy(m => (m.Rows, m.Columns)))
            {
                // A matrix of more rows than columns stretches what it is given less: its step is larger.
                double scale = Math.Sqrt(Math.Max(1, same.Key.Rows / (double)same.Key.Columns));
                long count = same.Sum(m => (long)m.Parts), length = count * same.Key.Rows * same.Key.Columns, start = at;
                _groups.Add(new Group(Of(weights), Of(_gradients), Of(mean), scale));
                at += length;

                torch.Tensor Of(torch.Tensor flat) =>
                    Own(flat.narrow(0, start, length).view(count, same.Key.Rows, same.Key.Columns));
            }
        }
        torch.Tensor[] state = [Keep("mean", rest), Keep("square", rest)];
        long decayed = others.Where(IsMatrix).Sum(p => p.numel());
        (double beta1, double beta2, double epsilon) = adam ?? new();
        _adam =
        [
            .. Part(0, decayed), .. Part(decayed, rest - decayed), new[] { Keep("step", 1) }, 0, Own((Scalar)beta1),
            Own((Scalar)beta2), Own((Scalar)epsilon), Own((Scalar)weightDecay),
        ];

        IEnumerable<object> Part(long start, long count) =>
            new[] { (weights, first + start), (_gradients, first + start), (state[0], start), (state[1], start) }
                .Select(part => new[] { Own(part.Item1.narrow(0, part.Item2, count)) });

        torch.Tensor Keep(string name, long length)
        {
            torch.Tensor zeros = Own(torch.zeros(length, torch.ScalarType.Float32, weights.device));
            State.Add((name, zeros));
            return zeros;
        }
    }

    /// <summary>The state beside the weights, by name: moments of the gradients, and the number of steps made.</summary>
    public List<(string Name, torch.Tensor Value)> State { get; } = [];

    /// <summary>Forgets the gradients, so that the next backward pass writes them anew.</summary>
    public void ClearGradients()
    {
        using IDisposable noGradient = torch.no_grad();
        _gradients.zero_().Dispose(); // another object, of the same tensor
    }

    /// <summary>Adds the gradients of all processes up, and beside them some notes.</summary>
    public void Sum(Exchange exchange, Span<float> notes)
    {
        using IDisposable noGradient = torch.no_grad();
        bool onCpu = _exchanged.device_type == DeviceType.CPU;
        using torch.Tensor? host = onCpu ? null : _exchanged.cpu();
        Span<float> values = MemoryMarshal.Cast<byte, float>((host ?? _exchanged).bytes);
        notes.CopyTo(values[^Notes..]);
        exchange.Sum(values);
        values[^Notes..][..notes.Length].CopyTo(notes);
        if (host is not null)
            _exchanged.copy_(host);
    }

    /// <summary>Moves the parameters by the gradients that the backward pass left.</summary>
    public void Step(double rate)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        if (_clipNorm is not null)
            UpdateScripts.Clip(_gradients, _clipNorm);
        using Scalar scalar = rate;
        _adam[Rate] = scalar;
        UpdateScripts.AdamW(_adam);
        if (_muon is null || _momentum is null)
            return;
        double matrixRate = rate * _muon.RateScale, kept = 1 - (matrixRate * _muon.WeightDecay);
        foreach (Group g in _groups)
            UpdateScripts.Muon(g.Weights, g.Gradients, g.Mean, _momentum, matrixRate * g.Scale, kept);
    }

    public void Dispose()
    {
        foreach (torch.Tensor p in _parameters)
            p.grad = null;
        _owned.ForEach(o => o.Dispose()); // the parameters keep their storage alive
    }

    // One row is a matrix, too, as of a layer with one output, and so are the 1×1 kernels of a convolution; but biases
    // and scales of several networks side by side, which are (members, 1, width), are none.
    private static bool IsMatrix(torch.Tensor parameter) =>
        parameter.dim() >= 2 && !(parameter.dim() == 3 && parameter.shape[1] == 1);

    private T Own<T>(T value)
        where T : IDisposable
    {
        (value as torch.Tensor)?.DetachFromDisposeScope();
        _owned.Add(value);
        return value;
    }

    /// <summary>Views of the matrices of one size, (N, rows, columns) each, which are treated at once.</summary>
    private readonly record struct Group(torch.Tensor Weights, torch.Tensor Gradients, torch.Tensor Mean, double Scale);
}
