namespace GenerativeML;

/// <summary>
/// Standardised rows x → z, standard normal, in steps that can be undone and whose Jacobians are triangular, so that the
/// density of x is N(z)·exp(Σ log derivatives). A step scales and shifts each feature (actnorm, Kingma and Dhariwal 2018),
/// mixes all of them by a matrix L·U, and then moves each by what a network makes of others: of the half that a mask
/// keeps (coupling), or of those before it in an order (autoregressive, by the masked layers of MADE, Germain 2015).
/// Conditions are inputs of these networks, too. Features stay in their places throughout.
/// </summary>
internal sealed class NormalizingFlowNetwork : VectorNetwork, IScorer, ILatentSampler
{
    // Of wider rows the passes of an autoregressive flow that generates, one for each feature, make too large a graph; with
    // splines, each some hundred operators, soon.
    private const int MostUnrolled = 64, MostUnrolledSplines = 2;

    private static readonly float s_halfLogTwoPi = 0.5f * MathF.Log(2 * MathF.PI);

    private readonly NormalizingFlowOptions _options;
    private readonly RationalQuadraticSpline? _spline; // null: affine
    private readonly bool _linear;
    private readonly int _width;
    private readonly int[] _widths;

    public NormalizingFlowNetwork(NormalizingFlowOptions options, VectorInput input)
        : base(input)
    {
        _options = options;
        _width = input.Width;
        _linear = options.LinearLayers;
        _spline = options.Coupling!.Value == FlowCoupling.Affine ? null : new(options.Bins, options.TailBound);
        _widths = [input.Width + input.ConditionWidth, .. options.HiddenLayers, input.Width * (_spline?.Parameters ?? 2)];
    }

    public bool IsLogLikelihood => true;

    public int LatentDimension => _width;

    public int NormalWidth => _width;

    public bool SamplesByTorch =>
        _options.Autoregressive && _width > (_spline is null ? MostUnrolled : MostUnrolledSplines);

    public (string Lowest, string Highest)? WholeNumbers => ("lowest", "highest");

    public override int WidestLayer => _widths.Max();

    // Splines hold some thirty numbers for each of their parameters until gradients have passed.
    public override long NumbersPerRow =>
        base.NumbersPerRow + (_spline is null ? 0 : 30L * _options.Steps * _widths[^1]);

    private int Last => _widths.Length - 2;

    public override void Declare(Layers layers)
    {
        layers.Buffer("feature_mask", _width); // zero where a feature is constant, and has no density
        layers.Buffer("unit", _width); // of a whole-numbered feature the difference of one, standardised; else zero
        layers.Buffer("lowest", _width); // what whole-numbered features range between; lowest is above where they do not
        layers.Buffer("highest", _width);
        for (int i = 0; _options.Autoregressive && i < Last; i++)
            layers.Buffer($"degree.{i}", _widths[i + 1]); // a unit sees features up to this place in the order
        for (int k = 0; k < _options.Steps; k++)
        {
            layers.Parameter($"step.{k}.log_scale", 0, _width);
            layers.Parameter($"step.{k}.shift", 0, _width);
            if (_linear)
            {
                layers.Parameter($"step.{k}.lower", 0, _width, _width);
                layers.Parameter($"step.{k}.upper", 0, _width, _width);
                layers.Buffer($"step.{k}.inverse", _width, _width); // of L·U, to generate; set after training
            }
            // Of a coupling one where a feature is kept; otherwise its place in the order, from one on.
            layers.Buffer($"step.{k}.order", _width);
            if (_spline is null)
                layers.Parameter($"step.{k}.range", 1, _width);
            layers.Stack($"step.{k}.net", _widths);
        }
    }

    // With the uniform noise that whole numbers are given in training.
    protected override VectorScaler ScalerOf(RowStatistics rows)
    {
        float[] mean = new float[_width], scale = new float[_width], limit = new float[_width];
        rows.Scaler.CopyTo(mean, scale, limit);
        for (int j = 0; j < _width; j++)
        {
            if (_options.Dequantize && rows.Moments[0].IsWhole[j])
                scale[j] /= MathF.Sqrt(1 + scale[j] * scale[j] / 12);
        }
        return new(mean, scale, limit);
    }

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        VectorScaler scaler = FeatureScaler(weights);
        int[] varying = [.. Enumerable.Range(0, _width).Where(j => !scaler.IsConstant(j))];
        Array.Fill(weights["lowest"], 1);
        foreach (int j in varying)
        {
            weights["feature_mask"][j] = 1;
            if (!_options.Dequantize || !rows.Moments[0].IsWhole[j])
                continue;
            weights["unit"][j] = scaler.Scale(j);
            (weights["lowest"][j], weights["highest"][j]) = (rows.Moments[0].Minimum[j], rows.Moments[0].Maximum[j]);
        }
        // Units see from none, which is of use with conditions alone, to all but the last feature.
        int least = Input.ConditionWidth > 0 || varying.Length < 2 ? 0 : 1, degrees = Math.Max(varying.Length, 1) - least;
        for (int i = 0; _options.Autoregressive && i < Last; i++)
        {
            for (int unit = 0; unit < _widths[i + 1]; unit++)
                weights[$"degree.{i}"][unit] = least + unit % degrees;
        }
        var random = new SplitMix64(SplitMix64.Derive(Input.Seed, RandomPurpose.Initialization, 1));
        for (int k = 0; k < _options.Steps; k++)
        {
            float[] order = weights[$"step.{k}.order"];
            if (_options.Autoregressive)
            {
                // The other way round in every other step, so that what was last is first.
                if (k % 2 == 0)
                    random.Shuffle(varying.AsSpan());
                else
                    Array.Reverse(varying);
                Array.Fill(order, _width + 1);
                for (int place = 0; place < varying.Length; place++)
                    order[varying[place]] = place + 1;
            }
            else
            {
                if (k % 2 == 0)
                    random.Shuffle(varying.AsSpan());
                int half = varying.Length / 2;
                foreach (int j in k % 2 == 0 ? varying[..half] : varying[half..])
                    order[j] = 1;
            }
            // The flow begins by doing nothing: rows are standardised, nearly what they are to become.
            Array.Clear(weights[$"step.{k}.net.{Last}.weight"]);
            Array.Clear(weights[$"step.{k}.net.{Last}.bias"]);
        }
        SetActnorm(weights, rows.Samples[0].ToArray(), scaler);
    }

    public override void Calibrate(VectorCalibration calibration)
    {
        for (int k = 0; _linear && k < _options.Steps; k++)
        {
            Invert(
                calibration.Weights["feature_mask"], calibration.Weights[$"step.{k}.lower"],
                calibration.Weights[$"step.{k}.upper"], calibration.Weights[$"step.{k}.inverse"]);
        }
    }

    public override IReadOnlyList<LossTerm> Loss(VectorStep step)
    {
        VectorRows<TorchTensor> rows = Dequantize(step);
        if (_options.InputNoise is double deviation and > 0)
        {
            TorchTensor noise = step.Step.Random.Normal(step.Rows.shape, deviation);
            rows = rows with { Features = rows.Features + noise * step.Weights["feature_mask"] };
        }
        return Mean(step.Weights, rows);
    }

    public override IReadOnlyList<LossTerm> ValidationLoss(VectorStep step) => Mean(step.Weights, Dequantize(step));

    public (T Score, T? ByFeature) Score<T>(Scope<T> w, VectorRows<T> rows, bool byFeature)
        where T : struct, ITensor<T>
    {
        (T z, T logDerivative) = Normalize(w, rows);
        T each = z.Apply(Function.Square) * 0.5f + w["feature_mask"] * s_halfLogTwoPi - logDerivative; // (B, D)
        return (each.Reduce(Reduction.Sum, 1), byFeature ? each : null);
    }

    public (T Mean, T? Deviation) Encode<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => (Normalize(w, rows).Z, null);

    public T Sample<T>(Scope<T> w, T normal, T? uniform, T? condition)
        where T : struct, ITensor<T>
    {
        T x = normal * w["feature_mask"];
        for (int k = _options.Steps - 1; k >= 0; k--)
        {
            Scope<T> step = w.Of($"step.{k}");
            x = Unmove(w, step, new(x, condition));
            if (_linear)
                x = x.Linear(step["inverse"]);
            x = (x * (-step["log_scale"]).Apply(Function.Exp) - step["shift"]) * w["feature_mask"];
        }
        return x;
    }

    // The latent vector, and by feature the logarithm of what it was stretched by, (B, D) each.
    private (T Z, T LogDerivative) Normalize<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T>
    {
        T mask = w["feature_mask"], z = rows.Features, sum = z * 0f;
        for (int k = 0; k < _options.Steps; k++)
        {
            Scope<T> step = w.Of($"step.{k}");
            T logScale = step["log_scale"] * mask;
            z = (z + step["shift"] * mask) * logScale.Apply(Function.Exp);
            if (_linear)
            {
                // The diagonal of L is one, and that of U what features were just scaled by.
                z += z.Linear(step["upper"] * Triangle(mask, upper: true));
                z += z.Linear(step["lower"] * Triangle(mask, upper: false));
            }
            (z, T logDerivative) = Move(w, step, rows with { Features = z });
            sum += logDerivative + logScale;
        }
        return (z, sum);
    }

    // What a step's network says moves each feature that is moved, and the logarithm of what it is stretched by.
    private (T Z, T LogDerivative) Move<T>(Scope<T> w, Scope<T> step, VectorRows<T> rows)
        where T : struct, ITensor<T>
    {
        T x = rows.Features, parameters = Parameters(step, Weights(w, step), rows), moved = Moved(w, step);
        if (_spline is not null)
        {
            (T y, T logSlope) = _spline.Forward(x, parameters);
            return (x + (y - x) * moved, logSlope * moved);
        }
        (T logScale, T shift) = Affine(step, parameters, moved);
        return (x * logScale.Apply(Function.Exp) + shift, logScale);
    }

    // The inverse. An autoregressive network is asked once for each place in the order: what it says of a feature is right
    // when those before are.
    private T Unmove<T>(Scope<T> w, Scope<T> step, VectorRows<T> rows)
        where T : struct, ITensor<T>
    {
        T[] weights = Weights(w, step);
        T moved = Moved(w, step), y = rows.Features;
        if (!_options.Autoregressive)
            return Undo(y);
        T x = y * 0f;
        for (int place = 1; place <= _width; place++)
            x = T.IfLess(step["order"], w.Constant(place + 0.5f), Undo(x), x);
        return x;

        T Undo(T known)
        {
            T parameters = Parameters(step, weights, rows with { Features = known });
            if (_spline is not null)
                return y + (_spline.Inverse(y, parameters) - y) * moved;
            (T logScale, T shift) = Affine(step, parameters, moved);
            return (y - shift) * (-logScale).Apply(Function.Exp);
        }
    }

    private static (T LogScale, T Shift) Affine<T>(Scope<T> step, T parameters, T moved)
        where T : struct, ITensor<T> => (
            parameters.Slice(2, 0, 1).Squeeze(2).Apply(Function.Tanh) * step["range"] * moved,
            parameters.Slice(2, 1, 1).Squeeze(2) * moved);

    private T Moved<T>(Scope<T> w, Scope<T> step)
        where T : struct, ITensor<T> =>
        _options.Autoregressive ? w["feature_mask"] : w["feature_mask"] * (1f - step["order"]);

    // What a step's network says of each feature, (B, D, P).
    private T Parameters<T>(Scope<T> step, T[] weights, VectorRows<T> rows)
        where T : struct, ITensor<T>
    {
        T x = rows.Join(_options.Autoregressive ? rows.Features : rows.Features * step["order"]);
        for (int i = 0; i <= Last; i++)
        {
            x = step.Ops.Linear(x, weights[i], step[$"net.{i}.bias"]);
            x = i < Last ? x.Apply(_options.Activation) : x;
        }
        return x.Reshape(-1, _width, _widths[^1] / _width);
    }

    // The weights of a step's network; of an autoregressive one without those that would tell of a feature itself or of
    // later ones. Conditions come before all.
    private T[] Weights<T>(Scope<T> w, Scope<T> step)
        where T : struct, ITensor<T>
    {
        T[] weights = [.. Enumerable.Range(0, Last + 1).Select(i => step[$"net.{i}.weight"])];
        T seen = step["order"];
        for (int c = 0; _options.Autoregressive && c < Input.ConditionWidth; c++)
            seen = T.Concat(0, seen, step["order"].Slice(0, 0, 1) * 0f);
        for (int i = 0; _options.Autoregressive && i <= Last; i++)
        {
            bool last = i == Last;
            T degree = last ? step["order"] : w[$"degree.{i}"] + 0.5f;
            T mask = T.OneIfLess(seen, degree.Reshape(-1, 1, 1)); // (outputs, 1, inputs)
            T each = weights[i].Reshape(last ? _width : _widths[i + 1], -1, _widths[i]);
            weights[i] = (each * mask).Reshape(-1, _widths[i]);
            seen = last ? seen : w[$"degree.{i}"];
        }
        return weights;
    }

    // (D, D): one strictly above, or below, the diagonal, where features vary.
    private static T Triangle<T>(T mask, bool upper)
        where T : struct, ITensor<T>
    {
        T place = (mask * 0f + 1f).CumulativeSum(0), row = place.Unsqueeze(1), column = place.Unsqueeze(0);
        return (upper ? T.OneIfLess(row, column) : T.OneIfLess(column, row)) * mask.Unsqueeze(1) * mask.Unsqueeze(0);
    }

    // Rows of whole numbers somewhere within half a unit of them, so that they have a density: that of a whole number is
    // then its probability (Theis 2016).
    private VectorRows<TorchTensor> Dequantize(VectorStep step)
    {
        if (!_options.Dequantize)
            return step.Inputs;
        TorchTensor z = step.Rows, size = z.Apply(Function.Abs), within = size.Clamp(0, VectorScaler.Linear);
        // In units of the deviation, and back, as the scaler has it beyond its limit.
        TorchTensor far = Times(z, (size - within).Apply(Function.Exp) - 1f + within);
        TorchTensor noised = far + (TorchTensor)step.Step.Random.Uniform(step.Rows.shape, -0.5, 0.5) * step.Weights["unit"];
        TorchTensor reach = noised.Apply(Function.Abs), near = reach.Clamp(0, VectorScaler.Linear);
        TorchTensor again = Times(noised, (reach - near + 1f).Apply(Function.Log) + near);
        return step.Inputs with { Features = TorchTensor.IfLess(step.Weights.Constant(0), step.Weights["unit"], again, z) };

        static TorchTensor Times(TorchTensor sign, TorchTensor size) => TorchTensor.IfLess(
            sign, sign * 0f, -size, size);
    }

    // What makes the first step's features those of mean zero and deviation one, so that the others', which change nothing
    // yet, are, too.
    private void SetActnorm(HostWeights weights, float[] sample, VectorScaler scaler)
    {
        scaler.Apply(sample, sample);
        int count = sample.Length / _width;
        for (int j = 0; j < _width; j++)
        {
            double mean = 0, square = 0;
            for (int i = j; i < sample.Length; i += _width)
                (mean, square) = (mean + sample[i] / (double)count, square + sample[i] * (double)sample[i] / count);
            double variance = square - mean * mean + Math.Pow(weights["unit"][j], 2) / 12;
            if (weights["feature_mask"][j] == 0 || !(variance > 1e-6))
                continue;
            weights["step.0.shift"][j] = (float)-mean;
            weights["step.0.log_scale"][j] = (float)(-0.5 * Math.Log(variance));
        }
    }

    // (L·U)⁻¹ by solving for each column in double precision.
    internal static void Invert(float[] mask, float[] lower, float[] upper, float[] inverse)
    {
        int width = mask.Length;
        Parallel.For(0, width, column =>
        {
            double[] x = new double[width];
            x[column] = 1;
            for (int i = 0; i < width; i++)
            {
                for (int j = 0; j < i; j++)
                    x[i] -= mask[i] * mask[j] * lower[i * width + j] * x[j];
            }
            for (int i = width - 1; i >= 0; i--)
            {
                for (int j = i + 1; j < width; j++)
                    x[i] -= mask[i] * mask[j] * upper[i * width + j] * x[j];
            }
            for (int i = 0; i < width; i++)
                inverse[i * width + column] = (float)x[i];
        });
    }

    private LossTerm[] Mean(Scope<TorchTensor> w, VectorRows<TorchTensor> rows) =>
        [new("negative_log_likelihood", Score(w, rows, byFeature: false).Score.Value.mean())];
}
