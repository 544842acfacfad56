using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>The constants of Adam (Kingma and Ba 2015), by default the paper's own.</summary>
internal sealed record AdamSettings(double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8);

/// <summary>A parameter (rows, …) that Muon moves: so many matrices, one below the other; of a convolution a row is a filter.</summary>
internal readonly record struct MuonMatrix(torch.Tensor Value, int Parts = 1)
{
    /// <summary>Rows of a part.</summary>
    public long Rows => Value.shape[0] / Parts;

    /// <summary>Columns.</summary>
    public long Columns => Value.numel() / Value.shape[0];
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
    private const int Chunk = 1 << 20; // numbers of the state that are exchanged at a time

    private readonly List<IDisposable> _owned = [];
    private readonly torch.Tensor[] _parameters; // Muon's, then those that weight decay concerns, then the others
    private readonly torch.Tensor _weights, _gradients, _exchanged; // the last are gradients and what is summed with them
    private readonly Scalar? _clipNorm;
    private readonly object[] _adam;
    private readonly MuonSettings? _muon;
    private readonly Scalar? _momentum;
    private readonly List<Group> _groups = [];
    private readonly List<StateTensor> _state = [];
    private readonly Exchange? _shards;
    private readonly int[] _ends; // of the parts of the weights that processes move, of which this one moves its own; or none
    private readonly torch.Tensor _own; // gradients of those
    private readonly double _limit;
    private double _norm; // of the gradients of all parts
    private torch.Tensor? _host; // what is exchanged of another device: memory that it reaches without a copy in between

    /// <summary>
    /// Takes the parameters over: their storage becomes one tensor's, their values stay. Weight decay is that of
    /// matrices, in shares of the learning rate per step; a norm of zero is no limit. With <paramref name="shards"/> each
    /// process moves a part of the weights and has the state of these alone (Rajbhandari 2020, stage 1 of ZeRO).
    /// </summary>
    public FlatOptimizer(
        IReadOnlyList<torch.Tensor> parameters, double weightDecay, double clipNorm, AdamSettings? adam = null,
        MuonSettings? muon = null, Exchange? shards = null)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        MuonMatrix[] matrices = [.. (muon?.Matrices ?? []).OrderBy(m => m.Rows).ThenBy(m => m.Columns)];
        torch.Tensor[] others =
        [
            .. parameters.Where(p => !matrices.Any(m => ReferenceEquals(m.Value, p))).OrderByDescending(IsMatrix),
        ];
        _parameters = [.. matrices.Select(m => m.Value), .. others];
        torch.Tensor weights = _weights = Own(torch.cat([.. _parameters.Select(p => p.detach().reshape(-1))]));
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
        (_shards, _limit) = (shards, clipNorm);
        _ends = shards is null ? [] : Ends(matrices, rest, shards.Size);
        int own = shards?.OwnPart ?? 0;
        long from = own == 0 ? 0 : _ends[own - 1], to = shards is null ? weights.numel() : _ends[own];
        _own = Own(_gradients.narrow(0, from, to - from));
        if (muon is not null)
        {
            (_muon, _momentum) = (muon, Own((Scalar)muon.Momentum));
            torch.Tensor mean = Keep("momentum", 0, first);
            long before = OwnRange(0, first).Start;
            at = 0;
            foreach (IGrouping<(long Rows, long Columns), MuonMatrix> same in matrices.GroupBy(m => (m.Rows, m.Columns)))
            {
                // A matrix of more rows than columns stretches what it is given less: its step is larger.
                double scale = Math.Sqrt(Math.Max(1, same.Key.Rows / (double)same.Key.Columns));
                long all = same.Sum(m => m.Value.numel());
                (long start, long length) = OwnRange(at, all);
                at += all;
                if (length > 0)
                    _groups.Add(new Group(Of(weights, start), Of(_gradients, start), Of(mean, start - before), scale));

                torch.Tensor Of(torch.Tensor flat, long begin) =>
                    Own(flat.narrow(0, begin, length).view(-1, same.Key.Rows, same.Key.Columns));
            }
        }
        torch.Tensor[] state = [Keep("mean", first, rest), Keep("square", first, rest)];
        long decayed = others.Where(IsMatrix).Sum(p => p.numel());
        (double beta1, double beta2, double epsilon) = adam ?? new();
        _adam =
        [
            .. Part(first, decayed), .. Part(first + decayed, rest - decayed), new[] { Zeros("step", 1, null) }, 0, Own((Scalar)beta1),
            Own((Scalar)beta2), Own((Scalar)epsilon), Own((Scalar)weightDecay),
        ];

        IEnumerable<object> Part(long start, long count)
        {
            (start, count) = OwnRange(start, count);
            long inState = start - OwnRange(first, rest).Start;
            return new[] { (weights, start), (_gradients, start), (state[0], inState), (state[1], inState) }
                .Select(part => new[] { Own(part.Item1.narrow(0, part.Item2, count)) });
        }

        // What this process moves of the weights from one place on.
        (long Start, long Count) OwnRange(long start, long count)
        {
            long begin = Math.Clamp(start, from, to);
            return (begin, Math.Clamp(start + count, from, to) - begin);
        }

        torch.Tensor Keep(string name, long start, long count) => Zeros(
            name, OwnRange(start, count).Count,
            shards is null ? null : Array.ConvertAll(_ends, end => (int)(Math.Clamp(end, start, start + count) - start)));

        torch.Tensor Zeros(string name, long length, int[]? ends)
        {
            torch.Tensor zeros = Own(torch.zeros(length, torch.ScalarType.Float32, weights.device));
            _state.Add(new(name, zeros, ends));
            return zeros;
        }
    }

    /// <summary>
    /// The norm of all gradients that the last step was made by, where this process has only some of them; otherwise null.
    /// </summary>
    public double? GradientNorm => _shards is null ? null : _norm * ClipFactor;

    /// <summary>
    /// The state beside the weights, by name: moments of the gradients, and the number of steps made. Where processes have
    /// parts of it, this one's, unless it was gathered.
    /// </summary>
    public IReadOnlyList<(string Name, torch.Tensor Value)> State => [.. _state.Select(s => (s.Name, s.Full ?? s.Shard))];

    /// <summary>The state that each process has all of.</summary>
    public IEnumerable<(string Name, torch.Tensor Value)> CommonState => _state.Where(s => s.Ends is null).Select(s => (s.Name, s.Shard));

    /// <summary>Room for the whole state in this process, of zeros, until it is released.</summary>
    public void AllocateState() => ForShards(tensor =>
        tensor.Full = torch.zeros(tensor.Ends![^1], torch.ScalarType.Float32).DetachFromDisposeScope());

    /// <summary>Makes the state whole in the first process, until it is released. All processes have to.</summary>
    public void GatherState()
    {
        if (_shards is { IsFirst: true })
            AllocateState();
        ForShards(tensor => ByChunks(tensor, isGathered: true));
    }

    /// <summary>Gives each process its part of the state that is whole in the first one. All processes have to.</summary>
    public void ScatterState() => ForShards(tensor => ByChunks(tensor, isGathered: false));

    /// <summary>Forgets all of the state but this process's part.</summary>
    public void ReleaseState() => ForShards(tensor =>
    {
        tensor.Full?.Dispose();
        tensor.Full = null;
    });

    /// <summary>Forgets the gradients, so that the next backward pass writes them anew.</summary>
    public void ClearGradients()
    {
        using IDisposable noGradient = torch.no_grad();
        _gradients.zero_().Dispose(); // another object, of the same tensor
    }

    /// <summary>Adds the gradients of all processes up, as far as this one moves their weights, and some notes.</summary>
    public void Sum(Exchange exchange, Span<float> notes)
    {
        using IDisposable noGradient = torch.no_grad();
        if (_shards is not null)
        {
            OnHost(_gradients, values => exchange.ReduceScatter(values, _ends), _own);
            using torch.Tensor norm = _own.norm();
            double[] sums = exchange.AllReduce([Math.Pow(norm.item<float>(), 2), .. notes]);
            _norm = Math.Sqrt(sums[0]);
            for (int i = 0; i < notes.Length; i++)
                notes[i] = (float)sums[1 + i];
            return;
        }
        float[] told = notes.ToArray();
        OnHost(_exchanged, values =>
        {
            told.CopyTo(values[^Notes..]);
            exchange.AllReduce(values);
            values[^Notes..][..told.Length].CopyTo(told);
        });
        told.CopyTo(notes);
    }

    /// <summary>Multiplies the gradients that this process has, after they were summed.</summary>
    public void ScaleGradients(double factor)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        _own.Scale(factor);
        _norm *= factor;
    }

    /// <summary>Moves the parameters by the gradients that the backward pass left.</summary>
    public void Step(double rate)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        if (_shards is not null && _limit > 0)
            _own.Scale(ClipFactor);
        else if (_clipNorm is not null)
            UpdateScripts.Clip(_gradients, _clipNorm);
        using Scalar scalar = rate;
        _adam[Rate] = scalar;
        UpdateScripts.AdamW(_adam);
        if (_muon is not null && _momentum is not null)
        {
            double matrixRate = rate * _muon.RateScale, kept = 1 - (matrixRate * _muon.WeightDecay);
            foreach (Group g in _groups)
                UpdateScripts.Muon(g.Weights, g.Gradients, g.Mean, _momentum, matrixRate * g.Scale, kept);
        }
        if (_shards is not null)
            OnHost(_weights, values => _shards.AllGather(values, _ends));
    }

    public void Dispose()
    {
        foreach (torch.Tensor p in _parameters)
            p.grad = null;
        _state.ForEach(s => s.Full?.Dispose());
        _owned.ForEach(o => o.Dispose()); // the parameters keep their storage alive
    }

    // One row is a matrix, too, as of a layer with one output, and so are the 1×1 kernels of a convolution; but biases
    // and scales of several networks side by side, which are (members, 1, width), are none.
    private static bool IsMatrix(torch.Tensor parameter) =>
        parameter.dim() >= 2 && !(parameter.dim() == 3 && parameter.shape[1] == 1);

    // Where the parts of as many processes end that have as much state each. Muon has one number for a weight, and AdamW two;
    // Muon's matrices stay whole.
    private static int[] Ends(MuonMatrix[] matrices, long rest, int parts)
    {
        long first = matrices.Sum(m => m.Value.numel()), at = 0;
        List<long> ends = [0, .. matrices.SelectMany(m => Enumerable.Repeat(m.Rows * m.Columns, m.Parts)).Select(length => at += length)];
        return [.. Enumerable.Range(1, parts).Select(part =>
        {
            long state = (long)((first + (2.0 * rest)) * part / parts);
            return checked((int)(part == parts ? first + rest : state >= first ? first + ((state - first) / 2) : ends.MinBy(end => Math.Abs(end - state))));
        })];
    }

    // As of clip_grad_norm_.
    private double ClipFactor => _limit > 0 ? Math.Min(1, _limit / (_norm + 1e-6)) : 1;

    // Where only a part of the tensor is of use afterwards, only that goes back to its device.
    private void OnHost(torch.Tensor tensor, Change change, torch.Tensor? used = null)
    {
        if (tensor.device_type == DeviceType.CPU)
        {
            change(MemoryMarshal.Cast<byte, float>(tensor.bytes));
            return;
        }
        using DisposeScope scope = torch.NewDisposeScope();
        _host ??= Own(Pinned(torch.empty(_exchanged.numel(), torch.ScalarType.Float32)));
        torch.Tensor host = _host.narrow(0, 0, tensor.numel());
        host.copy_(tensor);
        change(MemoryMarshal.Cast<byte, float>(host.bytes));
        used ??= tensor;
        used.copy_(host.narrow(0, used.storage_offset() - tensor.storage_offset(), used.numel()));
    }

    // Of which a system may allow little: then copies are slower, and that is all.
    private static torch.Tensor Pinned(torch.Tensor tensor)
    {
        try
        {
            return tensor.pin_memory();
        }
        catch (ExternalException)
        {
            return tensor;
        }
    }

    private void ForShards(Action<StateTensor> act)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        foreach (StateTensor tensor in _state.Where(s => s.Ends is not null))
            act(tensor);
    }

    // So that only the first process has more than its own part in memory, and only while it reads or writes a checkpoint.
    private void ByChunks(StateTensor tensor, bool isGathered)
    {
        (int own, int all) = (_shards!.OwnPart, tensor.Ends![^1]);
        int before = own == 0 ? 0 : tensor.Ends[own - 1];
        float[] chunk = new float[Math.Min(Chunk, all)];
        for (int at = 0; at < all; at += Chunk)
        {
            int count = Math.Min(Chunk, all - at), start = at;
            int[] ends = Array.ConvertAll(tensor.Ends, end => Math.Clamp(end - start, 0, count));
            (int from, int to) = (own == 0 ? 0 : ends[own - 1], ends[own]);
            torch.Tensor part = tensor.Shard.narrow(0, from < to ? at + from - before : 0, to - from);
            torch.Tensor? whole = tensor.Full?.narrow(0, at, count);
            if (isGathered)
            {
                OnHost(part, values => values.CopyTo(chunk.AsSpan(from)));
                _shards.AllGather(chunk.AsSpan(0, count), ends);
                if (whole is not null)
                    OnHost(whole, values => chunk.AsSpan(0, count).CopyTo(values));
                continue;
            }
            if (whole is not null)
                OnHost(whole, values => values.CopyTo(chunk));
            _shards.Broadcast(MemoryMarshal.AsBytes(chunk.AsSpan(0, count)));
            OnHost(part, values => chunk.AsSpan(from, to - from).CopyTo(values));
        }
    }

    private T Own<T>(T value)
        where T : IDisposable
    {
        (value as torch.Tensor)?.DetachFromDisposeScope();
        _owned.Add(value);
        return value;
    }

    private delegate void Change(Span<float> values);

    /// <summary>A part of the state: all of it, or where the parts of processes end, this one's.</summary>
    private sealed record StateTensor(string Name, torch.Tensor Shard, int[]? Ends)
    {
        /// <summary>All of it, in the first process, while that writes or reads it.</summary>
        public torch.Tensor? Full { get; set; }
    }

    /// <summary>Views of the matrices of one size, (N, rows, columns) each, which are treated at once.</summary>
    private readonly record struct Group(torch.Tensor Weights, torch.Tensor Gradients, torch.Tensor Mean, double Scale);
}
