using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace GenerativeML;

/// <summary>A tensor of torch: computes at once, with gradients where weights ask for them.</summary>
internal readonly record struct TorchTensor(Tensor Value) : ITensor<TorchTensor>
{
    public static implicit operator TorchTensor(Tensor value) => new(value);
    public static implicit operator Tensor(TorchTensor value) => value.Value;
    public static TorchTensor operator +(TorchTensor a, TorchTensor b) => a.Value.Plus(b.Value);
    public static TorchTensor operator -(TorchTensor a, TorchTensor b) => a.Value.Minus(b.Value);
    public static TorchTensor operator *(TorchTensor a, TorchTensor b) => a.Value.mul(b.Value);
    public static TorchTensor operator /(TorchTensor a, TorchTensor b) => a.Value.div(b.Value);
    public static TorchTensor operator +(TorchTensor a, float b) => a.Value.Plus(b);
    public static TorchTensor operator -(TorchTensor a, float b) => a.Value.Plus(-b);
    public static TorchTensor operator -(float a, TorchTensor b) => b.Value.neg().Plus(a);
    public static TorchTensor operator *(TorchTensor a, float b) => a.Value.Scaled(b);
    public static TorchTensor operator /(TorchTensor a, float b) => a.Value.Over(b);
    public static TorchTensor operator -(TorchTensor a) => a.Value.neg();
    public static TorchTensor Max(TorchTensor a, TorchTensor b) => a.Value.maximum(b.Value);

    public static TorchTensor Concat(int axis, params TorchTensor[] parts) =>
        cat([.. parts.Select(p => p.Value)], axis);

    public static TorchTensor IfLess(TorchTensor a, TorchTensor limit, TorchTensor then, TorchTensor otherwise) =>
        where(a.Value.lt(limit.Value), then.Value, otherwise.Value);

    public static TorchTensor OneIfLess(TorchTensor a, TorchTensor limit) => a.Value.lt(limit.Value).to(limit.Value.dtype);

    // As autocast does it: what has been summed with numbers in full precision goes back to bfloat16.
    public TorchTensor MatMul(TorchTensor other) => Value.dtype == other.Value.dtype
        ? Value.matmul(other.Value)
        : Value.to(ScalarType.BFloat16).matmul(other.Value.to(ScalarType.BFloat16));

    public TorchTensor Linear(TorchTensor weight, TorchTensor? bias = null)
    {
        if (weight.Value.dim() == 2)
            return linear(Value, weight.Value, bias?.Value);
        // Not baddbmm: TorchSharp hands its arguments on in another order.
        Tensor product = Value.matmul(weight.Value.transpose(1, 2));
        return bias is { } shift ? product.Plus(shift.Value) : product;
    }

    public TorchTensor LayerNorm(TorchTensor gain, TorchTensor? bias, float epsilon = 1e-5f) =>
        layer_norm(Value, [gain.Value.size(0)], gain.Value, bias?.Value, epsilon);

    public TorchTensor GroupNorm(int groups, TorchTensor? gain = null, TorchTensor? bias = null, float epsilon = 1e-5f) =>
        group_norm(Value, groups, gain?.Value.to(Value.dtype), bias?.Value.to(Value.dtype), epsilon);

    public TorchTensor Conv2d(TorchTensor weight, TorchTensor? bias, int stride = 1, int padding = 0) =>
        conv2d(Value, weight.Value, bias?.Value, [stride, stride], [padding, padding]);

    public TorchTensor ConvTranspose2d(TorchTensor weight, TorchTensor? bias, int stride = 1, int padding = 0) =>
        conv_transpose2d(Value, weight.Value, bias?.Value, [stride, stride], [padding, padding]);

    public TorchTensor Doubled() => interpolate(Value, scale_factor: [2, 2], mode: InterpolationMode.Nearest);

    public TorchTensor Halved() =>
        avg_pool2d(Value, [2, 2], [2, 2], ceil_mode: true, count_include_pad: false);

    public TorchTensor Embed(TorchTensor indices) =>
        Value.index_select(0, indices.Value.reshape(-1)).reshape([.. indices.Value.shape, .. Value.shape[1..]]);

    public TorchTensor Gather(TorchTensor indices) => Value.gather(-1, indices.Value);

    public TorchTensor Apply(Function function) => function switch
    {
        Function.Relu => relu(Value),
        Function.Elu => Value.Elu(),
        Function.Silu => silu(Value),
        Function.Gelu => gelu(Value, GELU.Approximate.none),
        Function.GeluTanh => gelu(Value, GELU.Approximate.tanh),
        Function.Sigmoid => Value.sigmoid(),
        Function.Tanh => Value.tanh(),
        Function.Softplus => Value.Softplus(),
        Function.Exp => Value.exp(),
        Function.Log => Value.log(),
        Function.Sqrt => Value.sqrt(),
        Function.Square => Value.Squared(),
        Function.Abs => Value.abs(),
        _ => throw new ArgumentOutOfRangeException(nameof(function), function, null),
    };

    public TorchTensor LeakyRelu(float slope) => Value.LeakyRelu(slope);
    public TorchTensor Softmax() => Value.softmax(-1);
    public TorchTensor Clamp(float low, float high) => Value.Clamped(low, high);

    public TorchTensor Reduce(Reduction reduction, int axis) => reduction switch
    {
        Reduction.Sum => Value.sum(axis, keepdim: true),
        Reduction.Mean => Value.mean([axis], keepdim: true),
        Reduction.Min => Value.amin([axis], keepdim: true),
        Reduction.Max => Value.amax([axis], keepdim: true),
        _ => throw new ArgumentOutOfRangeException(nameof(reduction), reduction, null),
    };

    public TorchTensor CumulativeSum(int axis) => Value.cumsum(axis);

    public TorchTensor Reshape(params long[] shape)
    {
        Tensor value = Value;
        return value.reshape([.. shape.Select((n, i) => n == 0 ? value.size(i) : n)]);
    }

    public TorchTensor ReshapeAs(TorchTensor other) => Value.reshape(other.Value.shape);
    public TorchTensor GroupAs(TorchTensor other) => Value.reshape(other.Value.size(0), -1, Value.size(-1));
    public TorchTensor Squeeze(int axis) => Value.squeeze(axis);
    public TorchTensor Unsqueeze(int axis) => Value.unsqueeze(axis);
    public TorchTensor Transpose(params long[] order) => Value.permute(order);

    public TorchTensor Slice(int axis, long start, long length) =>
        Value.narrow(axis, start < 0 ? Value.size(axis) + start : start, length);

    public TorchTensor ToIndices() => Value.to(ScalarType.Int64);

    public (TorchTensor Values, TorchTensor Indices) Smallest(int count)
    {
        (Tensor values, Tensor indices) = Value.topk(count, -1, largest: false, sorted: false);
        return (values, indices);
    }
}

/// <summary>Runs networks on torch, for training or for inference.</summary>
/// <param name="weights">Parameters and buffers by their names in the state dict.</param>
internal sealed class TorchOps(IReadOnlyDictionary<string, Tensor> weights) : Ops<TorchTensor>
{
    private const double Momentum = 0.1, TinyVariance = 1e-8; // the former of statistics that are followed

    /// <summary>What dropout draws from while training; null for inference.</summary>
    public SeededRandom? Random { get; init; }

    /// <summary>Whether products are computed in bfloat16 while training.</summary>
    public bool BFloat16 { get; init; }

    /// <summary>Whether what such products give stays in bfloat16 while training, as autocast has it.</summary>
    public bool StaysInBFloat16 { get; init; }

    // In training only: what a trained model gives should not depend on how its weights were found.
    private bool Halves => BFloat16 && Training;

    /// <summary>The keys and values of earlier tokens; null where sequences stand by themselves.</summary>
    public TorchCache? Cache { get; init; }

    /// <summary>What recurrent layers remember; null where sequences begin with the run.</summary>
    public IRecurrentStates? States { get; init; }

    /// <summary>The same network, which remembers.</summary>
    public TorchOps With(IRecurrentStates states) =>
        new(weights)
        {
            Random = Random, BFloat16 = BFloat16, StaysInBFloat16 = StaysInBFloat16, Cache = Cache, States = states,
        };

    /// <summary>The axis along which rows are: the second where several networks are computed side by side.</summary>
    public int RowAxis { get; init; }

    public override bool Training => Random is not null;
    public override bool Has(string name) => weights.ContainsKey(name);
    public override TorchTensor Weight(string name) => weights[name];
    public override TorchTensor Constant(float value) => tensor(value, device: weights.Values.FirstOrDefault()?.device);

    public override float Number(string name) => weights[name].item<float>();

    public override TorchTensor Linear(TorchTensor x, TorchTensor weight, TorchTensor? bias) =>
        Product(x, weight, bias, biasAxes: 1, (x, weight, bias) => x.Linear(weight, bias));

    public override TorchTensor Conv2d(TorchTensor x, TorchTensor weight, TorchTensor? bias, int stride, int padding) =>
        Product(x, weight, bias, biasAxes: 3, (x, weight, bias) =>
        {
            // There, oneDNN 3.7 does not write the gradient of a kernel's columns that meet nothing but margin: it is what was in
            // memory.
            bool isTooNarrow = x.Value.dtype == ScalarType.BFloat16 && x.Value.size(3) == 1 && stride > 1;
            if (!isTooNarrow)
                return x.Conv2d(weight, bias, stride, padding);
            TorchTensor? shift = bias is { } some ? Single(some) : (TorchTensor?)null;
            return Single(x).Conv2d(Single(weight), shift, stride, padding).Value.to(ScalarType.BFloat16);
        });

    public override TorchTensor ConvTranspose2d(TorchTensor x, TorchTensor weight, TorchTensor? bias, int stride, int padding) =>
        Product(x, weight, bias, biasAxes: 3, (x, weight, bias) => x.ConvTranspose2d(weight, bias, stride, padding));

    public override TorchTensor Dropout(TorchTensor x, double share)
    {
        if (Random is null || share == 0)
            return x;
        Tensor keep = Random.Bernoulli(x.Value.shape, 1 - share, RowAxis);
        return x.Value.mul(keep).Scaled(1 / (1 - share));
    }

    public override TorchTensor BatchDeviation(TorchTensor x, string buffer)
    {
        Tensor value = x.Value, centred = value.Minus(value.mean([0L], keepdim: true));
        Tensor deviation = centred.Squared().mean([0L]).Plus(TinyVariance).sqrt().mean().view(1);
        using IDisposable noGradient = no_grad();
        weights[buffer].Scale(1 - Momentum).Add(deviation.detach(), Momentum);
        return deviation;
    }

    public override TorchTensor BatchNorm(TorchTensor x, string layer, float epsilon)
    {
        Tensor value = x.Value, mean = weights[layer + ".running_mean"];
        // Of one value there is no variance, and torch would make the running one no number: the running ones serve.
        bool members = mean.dim() == 3; // (M, B, C) is (B, M·C) with as many columns of their own
        Tensor rows = members ? value.transpose(0, 1).reshape(value.size(1), -1) : value;
        // Passes without gradients, of rows that are only judged, do not move the running ones: there is one more of them where a
        // step is computed in parts.
        double momentum = is_grad_enabled() ? Momentum : 0;
        Tensor normal = batch_norm(
            rows, mean.view(-1), weights[layer + ".running_var"].view(-1), weights[layer + ".weight"].view(-1),
            weights[layer + ".bias"].view(-1), training: rows.numel() > rows.size(1), momentum: momentum, eps: epsilon);
        return members ? normal.view(value.size(1), value.size(0), -1).transpose(0, 1) : normal;
    }

    public override TorchTensor Attention(
        TorchTensor queryKeyValue, int heads, int width, string layer, double dropout)
    {
        Tensor all = queryKeyValue.Value;
        long batch = all.size(0), length = all.size(1);
        Tensor qkv = all.view(batch, length, 3, heads, width).permute(2, 0, 3, 1, 4);
        (Tensor query, Tensor key, Tensor value) = (qkv[0], qkv[1], qkv[2]); // (B, heads, T, width)
        Tensor? seen = null;
        if (Cache is not null)
            (key, value, seen) = Cache.Append(layer, key, value);
        Tensor mixed = Training && dropout > 0
            ? Attend(query, key, value, dropout)
            : scaled_dot_product_attention(query, key, value, seen, is_casual: seen is null && length > 1);
        return mixed.transpose(1, 2).reshape(batch, length, heads * width);
    }

    public override TorchTensor Recurrent(
        RecurrentCell cell, TorchTensor x, RecurrentWeights<TorchTensor> layerWeights, string layer)
    {
        Tensor value = x.Value;
        Tensor zero = zeros([1, value.size(0), layerWeights.State.Value.size(1)], device: value.device);
        Tensor[] nothing = [.. cell.Parts().Select(_ => zero)];
        (Tensor hidden, Tensor[] last) =
            RecurrentCells.Run(cell, value, States?.Read(layer, nothing) ?? nothing, layerWeights);
        States?.Write(layer, last);
        return hidden;
    }

    private static TorchTensor Single(TorchTensor x) => x.Value.to(ScalarType.Float32);

    private TorchTensor Product(
        TorchTensor x, TorchTensor weight, TorchTensor? bias, int biasAxes,
        Func<TorchTensor, TorchTensor, TorchTensor?, TorchTensor> product)
    {
        if (!Halves)
            return product(x, weight, bias);
        if (StaysInBFloat16)
            return product(Half(x), Half(weight), bias is { } some ? Half(some) : (TorchTensor?)null);
        // Biases are added in full precision.
        TorchTensor result = product(Half(x), Half(weight), null).Value.to(ScalarType.Float32);
        return bias is { } shift ? result + (biasAxes == 1 ? shift : shift.Reshape(-1, 1, 1)) : result;

        static TorchTensor Half(TorchTensor x) => x.Value.to(ScalarType.BFloat16);
    }

    // Torch's own attention draws what it leaves out from the process's random state.
    private Tensor Attend(Tensor query, Tensor key, Tensor value, double dropout)
    {
        long length = query.size(2);
        Tensor later = ones(length, length, ScalarType.Bool, query.device).triu(1);
        Tensor scores = query.matmul(key.transpose(2, 3)).Scaled(1 / Math.Sqrt(query.size(3)));
        Tensor shares = where(later, Constant(float.NegativeInfinity).Value, scores).softmax(-1);
        return Dropout(shares, dropout).Value.matmul(value);
    }
}

/// <summary>Keys and values of several sequences' tokens, of all layers, and the states of recurrent ones.</summary>
internal sealed class TorchCache(int sequences, int context) : IRecurrentStates, IDisposable
{
    private readonly Dictionary<string, (Tensor Keys, Tensor Values)> _layers = []; // (S, heads, context, width)
    private readonly Dictionary<string, Tensor[]> _states = []; // (1, S, width)
    private int[] _past = [];
    private int _first;
    private Tensor? _seen;

    /// <summary>Begins a run: how many tokens each sequence has.</summary>
    public void Begin(int first, ReadOnlySpan<int> past) => (_first, _past, _seen) = (first, past.ToArray(), null);

    /// <summary>Adds keys and values, (B, heads, T, width); gives all, and which are seen (null: those before).</summary>
    public (Tensor Keys, Tensor Values, Tensor? Seen) Append(string layer, Tensor keys, Tensor values)
    {
        if (!_layers.TryGetValue(layer, out (Tensor Keys, Tensor Values) kept))
            _layers[layer] = kept = (New(keys), New(values));
        _seen ??= Seen((int)keys.size(2), keys.device);
        return (Append(kept.Keys, keys), Append(kept.Values, values), _seen);
    }

    /// <summary>Gives a sequence the first tokens of another one.</summary>
    public void Copy(int from, int to, int tokens)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        foreach (Tensor kept in _layers.Values.SelectMany(layer => (Tensor[])[layer.Keys, layer.Values]))
            kept.narrow(0, to, 1).narrow(2, 0, tokens).copy_(kept.narrow(0, from, 1).narrow(2, 0, tokens));
        foreach (Tensor state in _states.Values.SelectMany(layer => layer))
            state.narrow(1, to, 1).copy_(state.narrow(1, from, 1));
    }

    /// <summary>A recurrent layer's states before the run: a sequence without tokens has none yet.</summary>
    public Tensor[] Read(string layer, Tensor[] zeros)
    {
        if (!_states.TryGetValue(layer, out Tensor[]? kept))
        {
            _states[layer] = kept =
            [
                .. zeros.Select(z => torch.zeros([1, sequences, z.size(2)], device: z.device).DetachFromDisposeScope()),
            ];
        }
        foreach (Tensor state in kept)
        {
            for (int i = 0; i < _past.Length; i++)
            {
                if (_past[i] == 0)
                    state.narrow(1, _first + i, 1).Fill(0);
            }
        }
        return Running(kept);
    }

    /// <summary>Takes its states after the run.</summary>
    public void Write(string layer, Tensor[] last)
    {
        foreach ((Tensor kept, Tensor now) in Running(_states[layer]).Zip(last))
            kept.copy_(now);
    }

    public void Dispose()
    {
        foreach ((Tensor keys, Tensor values) in _layers.Values)
        {
            keys.Dispose();
            values.Dispose();
        }
        foreach (Tensor state in _states.Values.SelectMany(layer => layer))
            state.Dispose();
    }

    private Tensor[] Running(Tensor[] states) => [.. states.Select(s => s.narrow(1, _first, _past.Length))];

    // Which tokens each of those added sees; null where all see all, or it is what torch calls causal.
    private Tensor? Seen(int added, Device device)
    {
        int most = _past.Max();
        if (_past.Min() == most && (added == 1 || most == 0))
            return null;
        var seen = new bool[_past.Length * added * (most + added)];
        for (int row = 0; row < _past.Length * added; row++)
            seen.AsSpan(row * (most + added), _past[row / added] + row % added + 1).Fill(true);
        return tensor(seen, device: device).view(_past.Length, 1, added, most + added);
    }

    private Tensor New(Tensor like) => zeros([sequences, like.size(1), context, like.size(3)], device: like.device)
        .DetachFromDisposeScope();

    private Tensor Append(Tensor kept, Tensor added)
    {
        for (int i = 0; i < _past.Length; i++)
            kept.narrow(0, _first + i, 1).narrow(2, _past[i], added.size(2)).copy_(added.narrow(0, i, 1));
        return kept.narrow(0, _first, _past.Length).narrow(2, 0, _past.Max() + added.size(2));
    }
}
