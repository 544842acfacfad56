namespace GenerativeML.Tests.Engines;

/// <summary>
/// A third engine, to compare the others with: each operation as its definition reads, element by element in double
/// precision.
/// </summary>
internal readonly record struct ReferenceTensor(long[] Shape, double[] Values) : ITensor<ReferenceTensor>
{
    public int Rank => Shape.Length;

    /// <summary>An element; axes that are missing in front, or of one element, are broadcast.</summary>
    public double this[params long[] index]
    {
        get
        {
            long at = 0;
            int ahead = index.Length - Rank;
            for (int i = 0; i < Rank; i++)
                at = at * Shape[i] + (Shape[i] == 1 ? 0 : index[ahead + i]);
            return Values[at];
        }
    }

    public static ReferenceTensor Of(long[] shape, Func<long[], double> value)
    {
        var values = new double[shape.Aggregate(1L, (a, b) => a * b)];
        var index = new long[shape.Length];
        for (long at = 0; at < values.Length; at++)
        {
            long rest = at;
            for (int i = shape.Length - 1; i >= 0; i--)
                (rest, index[i]) = Math.DivRem(rest, shape[i]);
            values[at] = value(index);
        }
        return new(shape, values);
    }

    public static ReferenceTensor operator +(ReferenceTensor a, ReferenceTensor b) => Zip(a, b, (x, y) => x + y);
    public static ReferenceTensor operator -(ReferenceTensor a, ReferenceTensor b) => Zip(a, b, (x, y) => x - y);
    public static ReferenceTensor operator *(ReferenceTensor a, ReferenceTensor b) => Zip(a, b, (x, y) => x * y);
    public static ReferenceTensor operator /(ReferenceTensor a, ReferenceTensor b) => Zip(a, b, (x, y) => x / y);
    public static ReferenceTensor operator +(ReferenceTensor a, float b) => a.Map(x => x + b);
    public static ReferenceTensor operator -(ReferenceTensor a, float b) => a.Map(x => x - b);
    public static ReferenceTensor operator -(float a, ReferenceTensor b) => b.Map(x => a - x);
    public static ReferenceTensor operator *(ReferenceTensor a, float b) => a.Map(x => x * b);
    public static ReferenceTensor operator /(ReferenceTensor a, float b) => a.Map(x => x / b);
    public static ReferenceTensor operator -(ReferenceTensor a) => a.Map(x => -x);
    public static ReferenceTensor Max(ReferenceTensor a, ReferenceTensor b) => Zip(a, b, Math.Max);

    public static ReferenceTensor Concat(int axis, params ReferenceTensor[] parts)
    {
        int at = parts[0].Axis(axis);
        return Of(parts[0].With(at, parts.Sum(p => p.Shape[at])), index =>
        {
            long[] place = [.. index];
            int part = 0;
            while (place[at] >= parts[part].Shape[at])
                place[at] -= parts[part++].Shape[at];
            return parts[part][place];
        });
    }

    public static ReferenceTensor IfLess(
        ReferenceTensor a, ReferenceTensor limit, ReferenceTensor then, ReferenceTensor otherwise) => Of(
            Broadcast(Broadcast(a.Shape, limit.Shape), Broadcast(then.Shape, otherwise.Shape)),
            i => a[i] < limit[i] ? then[i] : otherwise[i]);

    public ReferenceTensor MatMul(ReferenceTensor other)
    {
        ReferenceTensor a = this;
        long[] batch = Broadcast(Shape[..^2], other.Shape[..^2]);
        return Of([.. batch, Shape[^2], other.Shape[^1]], i => Enumerable.Range(0, (int)a.Shape[^1])
            .Sum(k => a[[.. i[..^1], k]] * other[[.. i[..^2], k, i[^1]]]));
    }

    public ReferenceTensor Linear(ReferenceTensor weight, ReferenceTensor? bias = null)
    {
        ReferenceTensor product = MatMul(weight.Rank == 2 ? weight.Transpose(1, 0) : weight.Transpose(0, 2, 1));
        return bias is { } shift ? product + shift : product;
    }

    public ReferenceTensor LayerNorm(ReferenceTensor gain, ReferenceTensor? bias, float epsilon = 1e-5f)
    {
        ReferenceTensor normal = Normal(epsilon) * gain;
        return bias is { } shift ? normal + shift : normal;
    }

    public ReferenceTensor GroupNorm(
        int groups, ReferenceTensor? gain = null, ReferenceTensor? bias = null, float epsilon = 1e-5f)
    {
        ReferenceTensor x = this, scale = gain ?? Of([Shape[1]], _ => 1), shift = bias ?? Of([Shape[1]], _ => 0);
        int each = (int)Shape[1] / groups, places = (int)(Shape[2] * Shape[3]);
        return Of(Shape, i =>
        {
            long first = i[1] / each * each;
            double[] group =
            [
                .. Enumerable.Range(0, each * places).Select(
                    k => x[i[0], first + k / places, k % places / x.Shape[3], k % x.Shape[3]]),
            ];
            double mean = group.Average(), variance = group.Average(v => (v - mean) * (v - mean));
            return (x[i] - mean) / Math.Sqrt(variance + epsilon) * scale[i[1]] + shift[i[1]];
        });
    }

    public ReferenceTensor Conv2d(ReferenceTensor weight, ReferenceTensor? bias, int stride = 1, int padding = 0)
    {
        ReferenceTensor x = this;
        long Size(int axis) => (x.Shape[axis] + 2 * padding - weight.Shape[axis]) / stride + 1;
        return Of([Shape[0], weight.Shape[0], Size(2), Size(3)], i =>
        {
            double sum = bias is { } shift ? shift[i[1]] : 0;
            for (long c = 0; c < weight.Shape[1]; c++)
                for (long v = 0; v < weight.Shape[2]; v++)
                    for (long u = 0; u < weight.Shape[3]; u++)
                        sum += weight[i[1], c, v, u]
                            * x.OrZero(i[0], c, i[2] * stride + v - padding, i[3] * stride + u - padding);
            return sum;
        });
    }

    public ReferenceTensor Doubled()
    {
        ReferenceTensor x = this;
        return Of([Shape[0], Shape[1], 2 * Shape[2], 2 * Shape[3]], i => x[i[0], i[1], i[2] / 2, i[3] / 2]);
    }

    public ReferenceTensor Halved()
    {
        ReferenceTensor x = this;
        return Of([Shape[0], Shape[1], (Shape[2] + 1) / 2, (Shape[3] + 1) / 2], i =>
        {
            double[] there =
            [
                .. from v in new[] { 2 * i[2], 2 * i[2] + 1 } where v < x.Shape[2]
                   from u in new[] { 2 * i[3], 2 * i[3] + 1 } where u < x.Shape[3]
                   select x[i[0], i[1], v, u],
            ];
            return there.Average();
        });
    }

    public ReferenceTensor ConvTranspose2d(
        ReferenceTensor weight, ReferenceTensor? bias, int stride = 1, int padding = 0)
    {
        ReferenceTensor x = this;
        long Size(int axis) => (x.Shape[axis] - 1) * stride - 2 * padding + weight.Shape[axis];
        return Of([Shape[0], weight.Shape[1], Size(2), Size(3)], i =>
        {
            double sum = bias is { } shift ? shift[i[1]] : 0;
            for (long c = 0; c < x.Shape[1]; c++)
                for (long v = 0; v < x.Shape[2]; v++)
                    for (long u = 0; u < x.Shape[3]; u++)
                        sum += x[i[0], c, v, u]
                            * weight.OrZero(c, i[1], i[2] + padding - v * stride, i[3] + padding - u * stride);
            return sum;
        });
    }

    public ReferenceTensor Embed(ReferenceTensor indices)
    {
        ReferenceTensor table = this;
        return Of([.. indices.Shape, .. Shape[1..]], i =>
            table[[(long)indices[i[..indices.Rank]], .. i[indices.Rank..]]]);
    }

    public ReferenceTensor Gather(ReferenceTensor indices)
    {
        ReferenceTensor x = this;
        return Of(indices.Shape, i => x[[.. i[..^1], (long)indices[i]]]);
    }

    public ReferenceTensor Apply(Function function) => Map(x => function switch
    {
        Function.Relu => Math.Max(x, 0),
        Function.Elu => x > 0 ? x : Math.Exp(x) - 1,
        Function.Silu => x / (1 + Math.Exp(-x)),
        Function.Gelu => x * (1 + Erf(x / Math.Sqrt(2))) / 2,
        Function.GeluTanh => x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))) / 2,
        Function.Sigmoid => 1 / (1 + Math.Exp(-x)),
        Function.Tanh => Math.Tanh(x),
        Function.Softplus => Math.Log(1 + Math.Exp(x)),
        Function.Exp => Math.Exp(x),
        Function.Log => Math.Log(x),
        Function.Sqrt => Math.Sqrt(x),
        Function.Square => x * x,
        Function.Abs => Math.Abs(x),
        _ => throw new ArgumentOutOfRangeException(nameof(function)),
    });

    public ReferenceTensor LeakyRelu(float slope) => Map(x => x > 0 ? x : slope * x);

    public ReferenceTensor Softmax() => LogSoftmax().Map(Math.Exp);

    private ReferenceTensor LogSoftmax() => this - Apply(Function.Exp).Reduce(Reduction.Sum, -1).Map(Math.Log);

    public ReferenceTensor Clamp(float low, float high) => Map(x => Math.Clamp(x, low, high));

    public ReferenceTensor Reduce(Reduction reduction, int axis)
    {
        ReferenceTensor x = this;
        int at = Axis(axis);
        return Of(With(at, 1), i =>
        {
            IEnumerable<double> all = Enumerable.Range(0, (int)x.Shape[at])
                .Select(k => x[[.. i[..at], k, .. i[(at + 1)..]]]);
            return reduction switch
            {
                Reduction.Sum => all.Sum(),
                Reduction.Mean => all.Average(),
                Reduction.Min => all.Min(),
                _ => all.Max(),
            };
        });
    }

    public ReferenceTensor CumulativeSum(int axis)
    {
        ReferenceTensor x = this;
        int at = Axis(axis);
        return Of(Shape, i => Enumerable.Range(0, (int)i[at] + 1).Sum(k => x[[.. i[..at], k, .. i[(at + 1)..]]]));
    }

    public ReferenceTensor Reshape(params long[] shape)
    {
        long[] known = Shape, result = [.. shape.Select((n, i) => n == 0 ? known[i] : n)];
        if (result.Contains(-1))
            result[Array.IndexOf(result, -1)] = Values.Length / -result.Aggregate(1L, (a, b) => a * b);
        return new(result, Values);
    }

    public ReferenceTensor ReshapeAs(ReferenceTensor other) => Reshape(other.Shape);

    public ReferenceTensor GroupAs(ReferenceTensor other) => Reshape(other.Shape[0], -1, Shape[^1]);

    public ReferenceTensor Squeeze(int axis) =>
        new([.. Shape[..Axis(axis)], .. Shape[(Axis(axis) + 1)..]], Values);

    public ReferenceTensor Unsqueeze(int axis)
    {
        int at = axis < 0 ? Rank + 1 + axis : axis;
        return new([.. Shape[..at], 1, .. Shape[at..]], Values);
    }

    public ReferenceTensor Transpose(params long[] order)
    {
        ReferenceTensor x = this;
        return Of([.. order.Select(n => x.Shape[n])], i =>
        {
            var from = new long[i.Length];
            for (int k = 0; k < i.Length; k++)
                from[order[k]] = i[k];
            return x[from];
        });
    }

    public ReferenceTensor Slice(int axis, long start, long length)
    {
        ReferenceTensor x = this;
        int at = Axis(axis);
        long first = start < 0 ? Shape[at] + start : start;
        return Of(With(at, length), i => x[[.. i[..at], first + i[at], .. i[(at + 1)..]]]);
    }

    public ReferenceTensor ToIndices() => Map(Math.Truncate);

    public (ReferenceTensor Values, ReferenceTensor Indices) Smallest(int count)
    {
        ReferenceTensor x = this;
        ReferenceTensor places = Of(With(Rank - 1, count), i => Enumerable.Range(0, (int)x.Shape[^1])
            .OrderBy(k => x[[.. i[..^1], k]]).ElementAt((int)i[^1]));
        return (Gather(places), places);
    }

    public static long[] Broadcast(long[] a, long[] b)
    {
        int rank = Math.Max(a.Length, b.Length);
        return [.. Enumerable.Range(0, rank).Select(i => Math.Max(Size(a, i), Size(b, i)))];

        long Size(long[] shape, int i) => i < rank - shape.Length ? 1 : shape[i - (rank - shape.Length)];
    }

    private static ReferenceTensor Zip(ReferenceTensor a, ReferenceTensor b, Func<double, double, double> f) =>
        Of(Broadcast(a.Shape, b.Shape), i => f(a[i], b[i]));

    private ReferenceTensor Map(Func<double, double> f) => new(Shape, [.. Values.Select(f)]);

    private ReferenceTensor Normal(float epsilon)
    {
        ReferenceTensor centred = this - Reduce(Reduction.Mean, -1);
        return centred / (centred * centred).Reduce(Reduction.Mean, -1).Map(v => Math.Sqrt(v + epsilon));
    }

    private double OrZero(params long[] index)
    {
        for (int i = 0; i < index.Length; i++)
        {
            if (index[i] < 0 || index[i] >= Shape[i])
                return 0;
        }
        return this[index];
    }

    private int Axis(int axis) => axis < 0 ? Rank + axis : axis;

    private long[] With(int axis, long size) => [.. Shape[..axis], size, .. Shape[(axis + 1)..]];

    // The Taylor series, which suffices up to 5; beyond, the rest is less than 1e-11.
    private static double Erf(double x)
    {
        if (Math.Abs(x) > 5)
            return Math.Sign(x);
        double sum = 0, term = x;
        for (int n = 0; n < 120; n++, term *= -x * x / n)
            sum += term / (2 * n + 1);
        return 2 / Math.Sqrt(Math.PI) * sum;
    }
}

/// <summary>Runs networks by <see cref="ReferenceTensor"/>.</summary>
internal sealed class ReferenceOps(HostWeights weights) : Ops<ReferenceTensor>
{
    public override bool Has(string name) => weights.Find(name) is not null;

    public override ReferenceTensor Weight(string name) =>
        new(weights.Find(name)!.Shape.ToArray(), [.. weights[name].Select(v => (double)v)]);

    public override ReferenceTensor Constant(float value) => new([], [value]);

    public override float Number(string name) => weights[name][0];

    public override ReferenceTensor Attention(
        ReferenceTensor queryKeyValue, int heads, int width, string layer, double dropout)
    {
        long batch = queryKeyValue.Shape[0], length = queryKeyValue.Shape[1];
        ReferenceTensor all = queryKeyValue.Reshape(batch, length, 3, heads, width).Transpose(2, 0, 3, 1, 4);
        ReferenceTensor Of(int i) => all.Slice(0, i, 1).Squeeze(0); // (B, heads, T, width)
        ReferenceTensor scores = Of(0).MatMul(Of(1).Transpose(0, 1, 3, 2)) / MathF.Sqrt(width);
        ReferenceTensor seen = ReferenceTensor.Of(scores.Shape, i => i[3] <= i[2] ? scores[i] : -1e30);
        return seen.Softmax().MatMul(Of(2)).Transpose(0, 2, 1, 3).Reshape(batch, length, heads * width);
    }

    // Token by token and feature by feature, as Hochreiter and Schmidhuber, and Cho, have them.
    public override ReferenceTensor Recurrent(
        RecurrentCell cell, ReferenceTensor x, RecurrentWeights<ReferenceTensor> w, string layer)
    {
        long width = w.State.Shape[1], inputs = w.Input.Shape[1];
        var result = new double[x.Shape[0] * x.Shape[1] * width];
        for (long b = 0; b < x.Shape[0]; b++)
        {
            double[] h = new double[width], c = new double[width];
            for (long t = 0; t < x.Shape[1]; t++)
            {
                var next = new double[width];
                for (long i = 0; i < width; i++)
                {
                    double OfInput(long gate) => w.InputBias[gate * width + i]
                        + Enumerable.Range(0, (int)inputs).Sum(k => w.Input[gate * width + i, k] * x[b, t, k]);
                    double OfState(long gate) => w.StateBias[gate * width + i]
                        + Enumerable.Range(0, (int)width).Sum(k => w.State[gate * width + i, k] * h[k]);
                    if (cell == RecurrentCell.Lstm)
                    {
                        c[i] = Sigmoid(OfInput(1) + OfState(1)) * c[i]
                            + Sigmoid(OfInput(0) + OfState(0)) * Math.Tanh(OfInput(2) + OfState(2));
                        next[i] = Sigmoid(OfInput(3) + OfState(3)) * Math.Tanh(c[i]);
                    }
                    else
                    {
                        double reset = Sigmoid(OfInput(0) + OfState(0)), update = Sigmoid(OfInput(1) + OfState(1));
                        next[i] = (1 - update) * Math.Tanh(OfInput(2) + reset * OfState(2)) + update * h[i];
                    }
                }
                h = next;
                h.CopyTo(result, (b * x.Shape[1] + t) * width);
            }
        }
        return new([x.Shape[0], x.Shape[1], width], result);

        static double Sigmoid(double z) => 1 / (1 + Math.Exp(-z));
    }
}
