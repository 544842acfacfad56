using TorchSharp;

namespace GenerativeML;

/// <summary>What a network declares its layers to, by names of the state dict, such as <c>encoder.0</c>.</summary>
internal abstract class Layers
{
    /// <summary>
    /// A dense layer: <c>weight</c> (outputs, inputs), <c>bias</c> (outputs). With several members, the same layer in
    /// each of as many networks side by side: (members, outputs, inputs) and (members, 1, outputs).
    /// </summary>
    public void Linear(string name, int inputs, int outputs, int members = 1, bool bias = true)
    {
        (string, long[]) weight = ("weight", members == 1 ? [outputs, inputs] : [members, outputs, inputs]);
        (string, long[]) shift = ("bias", members == 1 ? [outputs] : [members, 1, outputs]);
        Uniform(name, inputs, members, bias ? [weight, shift] : [weight]);
    }

    /// <summary>Dense layers <c>name.0</c>, <c>name.1</c> … from each of these widths to the next.</summary>
    public void Stack(string name, int[] widths)
    {
        for (int i = 0; i + 1 < widths.Length; i++)
            Linear($"{name}.{i}", widths[i], widths[i + 1]);
    }

    /// <summary>A table of vectors: <c>weight</c> (count, width).</summary>
    public void Embedding(string name, int count, int width) => Normal(name, count, width);

    /// <summary>A <c>weight</c> of this shape, of standard normal numbers at first.</summary>
    public void Normal(string name, params long[] shape) =>
        Add(name, (weight, random) => weight.normal_(0, 1, random), 1, ("weight", shape));

    /// <summary>Normalisation over the last axis: <c>weight</c> and <c>bias</c> (width).</summary>
    public void LayerNorm(string name, int width)
    {
        Parameter(name + ".weight", 1, width);
        Parameter(name + ".bias", 0, width);
    }

    /// <summary>Normalisation over groups of channels: <c>weight</c> and <c>bias</c> (channels).</summary>
    public void GroupNorm(string name, int channels) => LayerNorm(name, channels);

    /// <summary>Normalisation of each channel by itself: <c>weight</c> and <c>bias</c> (channels).</summary>
    public void InstanceNorm(string name, int channels) => LayerNorm(name, channels);

    /// <summary>
    /// Batch normalisation (Ioffe and Szegedy 2015): <c>weight</c>, <c>bias</c>, and the buffers <c>running_mean</c> and
    /// <c>running_var</c>, (width), or (members, 1, width) of several networks side by side.
    /// </summary>
    public void BatchNorm(string name, int width, int members = 1)
    {
        long[] shape = members == 1 ? [width] : [members, 1, width];
        Parameter(name + ".weight", 1, shape);
        Parameter(name + ".bias", 0, shape);
        Buffer(name + ".running_mean", shape);
        Buffer(name + ".running_var", 1, shape);
    }

    /// <summary>A convolution of images: <c>weight</c> (outputs, inputs, kernel, kernel), <c>bias</c> (outputs).</summary>
    public void Conv2d(string name, int inputs, int outputs, int kernel, bool bias = true) => Uniform(
        name, inputs * kernel * kernel, 1,
        [("weight", [outputs, inputs, kernel, kernel]), .. bias ? [("bias", [outputs])] : ((string, long[])[])[]]);

    /// <summary>Its transpose: <c>weight</c> (inputs, outputs, kernel, kernel), <c>bias</c> (outputs).</summary>
    public void ConvTranspose2d(string name, int inputs, int outputs, int kernel, bool bias = true) => Uniform(
        name, outputs * kernel * kernel, 1,
        [("weight", [inputs, outputs, kernel, kernel]), .. bias ? [("bias", [outputs])] : ((string, long[])[])[]]);

    /// <summary>
    /// Layers of recurrent cells, as torch.nn.LSTM and torch.nn.GRU name and begin them: <c>weight_ih_l0</c>,
    /// <c>weight_hh_l0</c>, <c>bias_ih_l0</c>, <c>bias_hh_l0</c> and so on.
    /// </summary>
    public void Recurrent(string name, RecurrentCell cell, int inputs, int width, int layers)
    {
        long gates = cell.Gates() * (long)width;
        for (int l = 0; l < layers; l++)
        {
            Uniform(
                name, width, 1, ($"weight_ih_l{l}", [gates, l == 0 ? inputs : width]), ($"weight_hh_l{l}", [gates, width]),
                ($"bias_ih_l{l}", [gates]), ($"bias_hh_l{l}", [gates]));
        }
    }

    /// <summary>A tensor that training moves, with one value everywhere at first.</summary>
    public abstract void Parameter(string name, float value, params long[] shape);

    /// <summary>A tensor that training does not move, zero at first.</summary>
    public void Buffer(string name, params long[] shape) => Buffer(name, 0, shape);

    /// <summary>A tensor that training does not move, with one value everywhere at first.</summary>
    public abstract void Buffer(string name, float value, long[] shape);

    /// <summary>A layer with these tensors, so many times, and what gives each of them its first values.</summary>
    protected abstract void Add(
        string name, Action<torch.Tensor, torch.Generator> initialize, int members,
        params (string Name, long[] Shape)[] tensors);

    // As torch's own layers are: kaiming_uniform_ with a = √5, of which 1 / √fanIn is left.
    private void Uniform(string name, int fanIn, int members, params (string Name, long[] Shape)[] tensors)
    {
        double bound = 1 / Math.Sqrt(fanIn);
        Add(name, (values, random) => values.uniform_(-bound, bound, random), members, tensors);
    }
}

/// <summary>The tensors of a network, without torch.</summary>
internal sealed class LayerSpecs : Layers
{
    private readonly List<TensorSpec> _tensors = [];
    private readonly HashSet<string> _buffers = [];

    public IReadOnlyList<TensorSpec> Tensors => _tensors;

    /// <summary>Whether a tensor is one that training does not move.</summary>
    public bool IsBuffer(string name) => _buffers.Contains(name);

    public override void Parameter(string name, float value, params long[] shape) =>
        _tensors.Add(new(name, TensorType.F32, shape));

    public override void Buffer(string name, float value, long[] shape)
    {
        _buffers.Add(name);
        Parameter(name, value, shape);
    }

    protected override void Add(
        string name, Action<torch.Tensor, torch.Generator> initialize, int members,
        params (string Name, long[] Shape)[] tensors)
    {
        foreach ((string tensor, long[] shape) in tensors)
            Parameter($"{name}.{tensor}", 0, shape);
    }
}

/// <summary>
/// The layers of a network to train, with the first values that torch's own modules have after <c>manual_seed</c>, but
/// drawn from a generator of their own: torch's is the process's, and other threads use it.
/// </summary>
internal sealed class TorchLayers : Layers, IDisposable
{
    private readonly OrderedDictionary<string, torch.Tensor> _tensors = [];
    private readonly torch.Device _device;
    private readonly torch.Generator? _random;

    /// <summary>Layers with first values by a seed.</summary>
    public TorchLayers(Action<Layers> declare, torch.Device device, ulong seed)
        : this(device)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        using (_random = new torch.Generator(seed, torch.CPU))
            declare(this);
        foreach (torch.Tensor value in _tensors.Values)
            value.DetachFromDisposeScope();
    }

    private TorchLayers(torch.Device device) => _device = device;

    /// <summary>All tensors by their names in the state dict.</summary>
    public IReadOnlyDictionary<string, torch.Tensor> Tensors => _tensors;

    /// <summary>The same with something before their names, for checkpoints.</summary>
    public IEnumerable<(string Name, torch.Tensor Value)> Named(string prefix) =>
        _tensors.Select(t => (prefix + t.Key, t.Value));

    /// <summary>The tensors that training moves: those whose names begin so.</summary>
    public IReadOnlyList<torch.Tensor> Parameters(string prefix = "") =>
        [.. StartingWith(prefix).Where(t => t.Value.requires_grad).Select(t => t.Value)];

    /// <summary>Copies of the tensors whose names begin so.</summary>
    public TorchLayers Copy(string prefix)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var copy = new TorchLayers(_device);
        foreach ((string name, torch.Tensor value) in StartingWith(prefix))
            copy._tensors.Add(name, value.detach().clone().DetachFromDisposeScope());
        return copy;
    }

    /// <summary>Copies all tensors to host memory, and zeros for what the network has beside.</summary>
    public HostWeights ToHost(IEnumerable<TensorSpec> all)
    {
        var weights = new HostWeights(all);
        foreach ((string name, torch.Tensor value) in _tensors)
            HostTensors.CopyTo(value, weights[name]);
        return weights;
    }

    /// <summary>Takes the values of the tensors of the same names.</summary>
    public void LoadStateDict(HostWeights weights)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        foreach ((string name, torch.Tensor value) in _tensors)
            value.copy_(HostTensors.FromRows(weights[name], 1, weights[name].Length, _device).view(value.shape));
    }

    public override void Parameter(string name, float value, params long[] shape) =>
        _tensors.Add(name, Filled(shape, value).requires_grad_(true));

    public override void Buffer(string name, float value, long[] shape) => _tensors.Add(name, Filled(shape, value));

    public void Dispose()
    {
        foreach (torch.Tensor value in _tensors.Values)
            value.Dispose();
    }

    protected override void Add(
        string name, Action<torch.Tensor, torch.Generator> initialize, int members,
        params (string Name, long[] Shape)[] tensors)
    {
        torch.Tensor[] values = [.. tensors.Select(t => torch.empty(t.Shape, torch.ScalarType.Float32, torch.CPU))];
        for (int member = 0; member < members; member++)
        {
            foreach (torch.Tensor all in values)
                initialize(all.view(members, -1).select(0, member), _random!);
        }
        for (int i = 0; i < tensors.Length; i++)
            _tensors.Add($"{name}.{tensors[i].Name}", values[i].to(_device).requires_grad_(true));
    }

    private IEnumerable<KeyValuePair<string, torch.Tensor>> StartingWith(string prefix) =>
        _tensors.Where(t => t.Key.StartsWith(prefix, StringComparison.Ordinal));

    private torch.Tensor Filled(long[] shape, float value)
    {
        var host = new float[shape.Aggregate(1L, (product, size) => product * size)];
        Array.Fill(host, value);
        return HostTensors.FromRows(host, 1, host.Length, _device).view(shape).clone();
    }
}
