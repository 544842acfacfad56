namespace GenerativeML;

/// <summary>
/// A value in a network: a tensor that torch computes now (<see cref="TorchTensor"/>), or the name of one that an ONNX
/// graph will compute (<see cref="OnnxTensor"/>). A forward pass is written once against this interface. Shapes
/// broadcast as in NumPy; negative axes count from the end.
/// </summary>
internal interface ITensor<T>
    where T : struct, ITensor<T>
{
    // Element by element; a number goes with each.
    static abstract T operator +(T a, T b);
    static abstract T operator -(T a, T b);
    static abstract T operator *(T a, T b);
    static abstract T operator /(T a, T b);
    static abstract T operator +(T a, float b);
    static virtual T operator -(T a, float b) => a + -b;
    static virtual T operator -(float a, T b) => -b + a;
    static abstract T operator *(T a, float b);
    static abstract T operator /(T a, float b);
    static abstract T operator -(T a);
    static abstract T Max(T a, T b);

    /// <summary>Values one after the other along an axis.</summary>
    static abstract T Concat(int axis, params T[] parts);

    /// <summary>Element by element: where <paramref name="a"/> is less than the limit.</summary>
    static abstract T IfLess(T a, T limit, T then, T otherwise);

    /// <summary>One where a number is less than another, elsewhere zero.</summary>
    static virtual T OneIfLess(T a, T limit)
    {
        T zero = limit * 0f;
        return T.IfLess(a, limit, zero + 1f, zero);
    }

    /// <summary>The matrix product of the last two axes.</summary>
    T MatMul(T other);

    /// <summary>
    /// x·Wᵀ + b with W as torch.nn.Linear has it, (outputs, inputs). With several of them, (M, outputs, inputs) and a
    /// bias (M, 1, outputs), x is (M, B, inputs), or (B, inputs) for all, and the result (M, B, outputs).
    /// </summary>
    T Linear(T weight, T? bias = null);

    /// <summary>Normalisation over the last axis.</summary>
    T LayerNorm(T gain, T? bias, float epsilon = 1e-5f);

    /// <summary>
    /// Normalisation of (B, C, H, W) over places and over the channels of each of so many groups (Wu and He 2018), then
    /// by a gain and a bias of each channel where they are given.
    /// </summary>
    T GroupNorm(int groups, T? gain = null, T? bias = null, float epsilon = 1e-5f);

    /// <summary>(B, C, H, W), weights (outputs, inputs, height, width).</summary>
    T Conv2d(T weight, T? bias, int stride = 1, int padding = 0);

    /// <summary>(B, C, H, W), weights (inputs, outputs, height, width).</summary>
    T ConvTranspose2d(T weight, T? bias, int stride = 1, int padding = 0);

    /// <summary>Images of twice the height and width, whose pixels become four each: (B, C, H, W) → (B, C, 2·H, 2·W).</summary>
    T Doubled();

    /// <summary>
    /// Images of half the height and width, rounded up, of the means of four pixels, or of those that there are at the end
    /// of an odd side: (B, C, H, W) → (B, C, ⌈H / 2⌉, ⌈W / 2⌉).
    /// </summary>
    T Halved();

    /// <summary>Rows of this table: indices of any shape → (shape, row).</summary>
    T Embed(T indices);

    /// <summary>The elements of the last axis at places there: indices (…, n) → (…, n).</summary>
    T Gather(T indices);

    /// <summary>A function of each element.</summary>
    T Apply(Function function);

    /// <summary>x where positive, otherwise <paramref name="slope"/>·x.</summary>
    T LeakyRelu(float slope);

    /// <summary>Over the last axis.</summary>
    T Softmax();

    /// <summary>Each element, brought between the limits.</summary>
    T Clamp(float low, float high);

    /// <summary>The axis stays, with one element.</summary>
    T Reduce(Reduction reduction, int axis);

    /// <summary>The sums of the first elements along an axis, each with its own.</summary>
    T CumulativeSum(int axis);

    /// <summary>Another shape; 0: as it was, −1: what is left.</summary>
    T Reshape(params long[] shape);

    /// <summary>The shape of another, of as many elements.</summary>
    T ReshapeAs(T other);

    /// <summary>All rows, whatever axes they are on, in as many groups as another has: (…, C) → (B, −1, C).</summary>
    T GroupAs(T other);

    /// <summary>Takes away an axis of one element.</summary>
    T Squeeze(int axis);

    /// <summary>Adds an axis of one element.</summary>
    T Unsqueeze(int axis);

    /// <summary>Axes in another order.</summary>
    T Transpose(params long[] order);

    /// <summary>A part of an axis. A negative start counts from the end.</summary>
    T Slice(int axis, long start, long length);

    /// <summary>Whole numbers, for <see cref="Embed"/> and <see cref="Gather"/>.</summary>
    T ToIndices();

    /// <summary>The smallest of the last axis and their places there, both in no order.</summary>
    (T Values, T Indices) Smallest(int count);
}

/// <summary>A function of single elements.</summary>
internal enum Function
{
    Relu,
    Elu,
    Silu, // x·σ(x)
    Gelu, // x·Φ(x)
    GeluTanh, // the same, approximated by tanh, as GPT-2 does
    Sigmoid,
    Tanh,
    Softplus, // log(1 + eˣ)
    Exp,
    Log,
    Sqrt,
    Square,
    Abs,
}

/// <summary>What makes one number of many.</summary>
internal enum Reduction
{
    Sum,
    Mean,
    Min,
    Max,
}

/// <summary>What follows from the operators of <see cref="ITensor{T}"/>.</summary>
internal static class TensorFunctions
{
    /// <summary>The non-linearity of a hidden layer.</summary>
    public static T Apply<T>(this T x, Activation activation)
        where T : struct, ITensor<T> => activation switch
        {
            Activation.Relu => x.Apply(Function.Relu),
            Activation.LeakyRelu => x.LeakyRelu(0.01f),
            Activation.Elu => x.Apply(Function.Elu),
            Activation.Gelu => x.Apply(Function.Gelu),
            Activation.Silu => x.Apply(Function.Silu),
            Activation.Tanh => x.Apply(Function.Tanh),
            Activation.Sigmoid => x.Apply(Function.Sigmoid),
            Activation.Identity => x,
            _ => throw new ArgumentOutOfRangeException(nameof(activation), activation, null),
        };

    /// <summary>
    /// One where a uniform number (B, 1) falls among shares that add up to <paramref name="ends"/>, (K), zero elsewhere:
    /// (B, K). The last share ends at one, whatever rounding says.
    /// </summary>
    public static T Chosen<T>(this T uniform, T ends, int count)
        where T : struct, ITensor<T>
    {
        T no = uniform * 0f, last = no + 1f;
        if (count == 1)
            return last;
        T below = T.Concat(1, T.IfLess(uniform, ends.Slice(0, 0, count - 1), last, no), last);
        return below - T.Concat(1, no, below.Slice(1, 0, count - 1));
    }

    /// <summary>log Σ eˣ along an axis, which stays with one element; no number is too large.</summary>
    public static T LogSumExp<T>(this T x, int axis)
        where T : struct, ITensor<T>
    {
        T most = x.Reduce(Reduction.Max, axis);
        return (x - most).Apply(Function.Exp).Reduce(Reduction.Sum, axis).Apply(Function.Log) + most;
    }
}

/// <summary>A forward pass that both engines can run.</summary>
internal interface IForwardPass
{
    /// <summary>Computes outputs from inputs; the first axis of each is that of the rows.</summary>
    T[] Run<T>(Scope<T> w, T[] inputs)
        where T : struct, ITensor<T>;
}

/// <summary>What a network has besides values: weights by their names in the state dict, state, and a mode.</summary>
internal abstract class Ops<T>
    where T : struct, ITensor<T>
{
    /// <summary>Whether dropout and statistics of the batch are wanted.</summary>
    public virtual bool Training => false;

    /// <summary>The names' root.</summary>
    public Scope<T> Root => new(this, "");

    /// <summary>Whether there is a weight of this name.</summary>
    public abstract bool Has(string name);

    /// <summary>A parameter or buffer.</summary>
    public abstract T Weight(string name);

    /// <summary>A number.</summary>
    public abstract T Constant(float value);

    /// <summary>A buffer of one number as it is now, where it decides what is computed at all.</summary>
    public abstract float Number(string name);

    /// <summary>x·Wᵀ + b, possibly in lower precision while training.</summary>
    public virtual T Linear(T x, T weight, T? bias) => x.Linear(weight, bias);

    /// <summary>A convolution, possibly in lower precision while training.</summary>
    public virtual T Conv2d(T x, T weight, T? bias, int stride, int padding) => x.Conv2d(weight, bias, stride, padding);

    /// <summary>A transposed convolution, possibly in lower precision while training.</summary>
    public virtual T ConvTranspose2d(T x, T weight, T? bias, int stride, int padding) =>
        x.ConvTranspose2d(weight, bias, stride, padding);

    /// <summary>
    /// Causal self-attention with queries, keys and values of all heads side by side, (B, T, 3·heads·width) →
    /// (B, T, heads·width). With a cache, earlier tokens are attended to, too; the layer's name is that of its cache, and
    /// a graph takes the tokens of all sequences one after the other, (N, 3·heads·width) → (N, heads·width).
    /// </summary>
    public abstract T Attention(T queryKeyValue, int heads, int width, string layer, double dropout);

    /// <summary>
    /// A layer of recurrent cells over (B, T, inputs) → (B, T, width), from a state of zeros, or from what is kept under
    /// the layer's name of earlier tokens. A graph that keeps states takes the tokens of all sequences one after the
    /// other, (N, inputs) → (N, width).
    /// </summary>
    public abstract T Recurrent(RecurrentCell cell, T x, RecurrentWeights<T> weights, string layer);

    /// <summary>While training, elements are left out at random; otherwise nothing happens.</summary>
    public virtual T Dropout(T x, double share) => x;

    /// <summary>
    /// How much rows of the batch differ, the mean over all features of their standard deviation, (1); a buffer of this name
    /// follows it. Only while training.
    /// </summary>
    public virtual T BatchDeviation(T x, string buffer) =>
        throw new InvalidOperationException("Statistics of a batch are for training.");

    /// <summary>Normalises by the statistics of the batch and follows them. Only while training.</summary>
    public virtual T BatchNorm(T x, string layer, float epsilon) =>
        throw new InvalidOperationException("Statistics of a batch are for training.");
}

/// <summary>A part of a network, where names are looked up; of several side by side, one or all (null).</summary>
internal readonly record struct Scope<T>(Ops<T> Ops, string Path, int? Member = null)
    where T : struct, ITensor<T>
{
    public T this[string name] => Member is int member
        ? Ops.Weight(Path + name).Slice(0, member, 1).Squeeze(0)
        : Ops.Weight(Path + name);

    /// <summary>The part of the network whose names begin so.</summary>
    public Scope<T> Of(string part) => this with { Path = $"{Path}{part}." };

    /// <summary>One of several networks whose weights are stacked along a first axis.</summary>
    public Scope<T> OfMember(int member) => this with { Member = member };

    public bool Has(string name) => Ops.Has(Path + name);

    public T Constant(float value) => Ops.Constant(value);

    public float Number(string name) => Ops.Number(Path + name);

    public T Linear(string layer, T x) => Ops.Linear(x, this[layer + ".weight"], Bias(layer));

    /// <summary>Dense layers <c>name.0</c>, <c>name.1</c> …; an activation follows all, or all but the last.</summary>
    public T Stack(string name, int layers, T x, Activation activation, bool activateLast = false)
    {
        for (int i = 0; i < layers; i++)
        {
            x = Linear($"{name}.{i}", x);
            if (activateLast || i + 1 < layers)
                x = x.Apply(activation);
        }
        return x;
    }

    /// <summary>Normalisation over the last axis.</summary>
    public T LayerNorm(string layer, T x, float epsilon = 1e-5f) =>
        x.LayerNorm(this[layer + ".weight"], Bias(layer), epsilon);

    /// <summary>Normalisation of (B, C, H, W) over the places and channels of groups.</summary>
    public T GroupNorm(string layer, T x, int groups, float epsilon = 1e-5f) =>
        x.GroupNorm(groups, this[layer + ".weight"], Bias(layer), epsilon);

    /// <summary>
    /// Normalisation of each channel of (B, C, H, W) over its own places (Ulyanov 2016): a group for each channel.
    /// </summary>
    public T InstanceNorm(string layer, T x, int channels, float epsilon = 1e-5f) => GroupNorm(layer, x, channels, epsilon);

    /// <summary>A convolution of (B, C, H, W).</summary>
    public T Conv2d(string layer, T x, int stride = 1, int padding = 0) =>
        Ops.Conv2d(x, this[layer + ".weight"], Bias(layer), stride, padding);

    /// <summary>A transposed convolution of (B, C, H, W).</summary>
    public T ConvTranspose2d(string layer, T x, int stride = 1, int padding = 0) =>
        Ops.ConvTranspose2d(x, this[layer + ".weight"], Bias(layer), stride, padding);

    /// <summary>Batch normalisation of (B, C), (M, B, C) or pictures; after training by running means.</summary>
    public T BatchNorm(string layer, T x, bool pictures = false, float epsilon = 1e-5f)
    {
        if (Ops.Training)
            return Ops.BatchNorm(x, Path + layer, epsilon);
        // Depends on weights alone: ONNX Runtime computes it once.
        T scale = this[layer + ".weight"] / (this[layer + ".running_var"] + epsilon).Apply(Function.Sqrt);
        T shift = this[layer + ".bias"] - this[layer + ".running_mean"] * scale;
        return pictures ? x * scale.Reshape(-1, 1, 1) + shift.Reshape(-1, 1, 1) : x * scale + shift;
    }

    /// <summary>Causal self-attention, (B, T, 3·heads·width) → (B, T, heads·width), with a cache of its own.</summary>
    public T Attention(T queryKeyValue, int heads, int width, double dropout = 0) =>
        Ops.Attention(queryKeyValue, heads, width, Path, dropout);

    /// <summary>
    /// Layer number n of recurrent cells, (B, T, inputs) → (B, T, width), with the weights that torch.nn.LSTM and
    /// torch.nn.GRU have: <c>weight_ih_l0</c>, <c>weight_hh_l0</c>, <c>bias_ih_l0</c>, <c>bias_hh_l0</c>.
    /// </summary>
    public T Recurrent(RecurrentCell cell, int layer, T x) => Ops.Recurrent(
        cell, x,
        new(
            this[$"weight_ih_l{layer}"], this[$"weight_hh_l{layer}"], this[$"bias_ih_l{layer}"],
            this[$"bias_hh_l{layer}"]),
        $"{Path}l{layer}.");

    /// <summary>
    /// One step of layer number n of LSTM cells, with the same weights: an input (B, inputs) and a state, twice (B, width)
    /// → the state behind it, of which the hidden part is the output.
    /// </summary>
    public (T Hidden, T Memory) LstmStep(int layer, int width, T x, T hidden, T memory)
    {
        T gates = x.Linear(this[$"weight_ih_l{layer}"], this[$"bias_ih_l{layer}"])
            + hidden.Linear(this[$"weight_hh_l{layer}"], this[$"bias_hh_l{layer}"]);
        T next = Gate(1, Function.Sigmoid) * memory + Gate(0, Function.Sigmoid) * Gate(2, Function.Tanh);
        return (Gate(3, Function.Sigmoid) * next.Apply(Function.Tanh), next);

        T Gate(int i, Function function) => gates.Slice(1, (long)i * width, width).Apply(function);
    }

    public T Dropout(T x, double share) => Ops.Dropout(x, share);

    private T? Bias(string layer) => Has(layer + ".bias") ? this[layer + ".bias"] : null;
}
