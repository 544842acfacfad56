using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>What an autoregressive network says of a step.</summary>
public enum SeriesDensity
{
    /// <summary>A mixture of normal distributions, whose features are independent in each (Bishop 1994).</summary>
    GaussianMixture,

    /// <summary>Features are zeros and ones, each by a probability of its own, as the keys of a piano roll.</summary>
    Bernoulli,
}

/// <summary>The options of an autoregressive network of series.</summary>
public sealed record AutoregressiveSeriesOptions : SeriesOptions
{
    /// <summary>What the network says of a step. Default <see cref="SeriesDensity.GaussianMixture"/>.</summary>
    public SeriesDensity Density { get; init; }

    /// <summary>Normal distributions of a mixture. From 1 to 64. Default 3.</summary>
    public int MixtureComponents { get; init; } = 3;

    /// <summary>
    /// The least deviation of a normal distribution, in deviations of the training steps. It keeps repeated values from an
    /// infinite density. From 1e-5 to 1. Default 0.01.
    /// </summary>
    public double LeastDeviation { get; init; } = 0.01;

    internal override SeriesOptions Resolve(long windows, int stepWidth) => this with
    {
        WindowStride = WindowStride ?? (WindowLength + 1) / 2,
        Layers = ResolvedLayers,
        BatchSize = BatchSize ?? 16,
        LearningRate = LearningRate ?? 3e-3,
        WeightDecay = WeightDecay ?? 1e-3,
        Epochs = Epochs ?? EpochsFor(500, windows, BatchSize ?? 16),
    };

    internal override VectorScaler ScalerOf(ColumnMoments moments, RowSample sample, Action<string>? warning)
    {
        if (Density != SeriesDensity.Bernoulli)
            return base.ScalerOf(moments, sample, warning);
        int other = Array.IndexOf(moments.IsBinary, false);
        if (other >= 0)
        {
            throw new InvalidOperationException(FormattableString.Invariant(
                $"Column '{FeatureColumnName}' has values from {moments.Minimum[other]} to {moments.Maximum[other]} in feature {other} of a step: with option {nameof(Density)} = {SeriesDensity.Bernoulli} all have to be 0 or 1."));
        }
        return VectorScaler.Of(new float[moments.Mean.Length], 1);
    }

    /// <summary>The density of a step.</summary>
    internal OutputDensity DensityOf(int features) => Density == SeriesDensity.Bernoulli
        ? new BernoulliDensity(features)
        : new MixtureDensity(features, MixtureComponents, leastDeviation: (float)LeastDeviation);

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Defined(Density);
        OptionChecks.Within(MixtureComponents, 1, 64);
        OptionChecks.Within(LeastDeviation, 1e-5, 1);
    }
}

/// <summary>
/// Steps before each step, with a mark of what was observed → layers that see no later step → a density of the step. A
/// window begins without a memory of what was before it; of windows that overlap by half, the later half counts where
/// steps are scored, so that each but the first ones is told from half a window at least.
/// </summary>
internal sealed class AutoregressiveSeriesNetwork(AutoregressiveSeriesOptions options, SeriesInput input)
    : SeriesNetwork(options, input)
{
    public OutputDensity Density { get; } = options.DensityOf(input.StepWidth);

    private int Half => Window / 2;

    public override void Declare(Layers layers)
    {
        DeclareLayers(layers, "layers", StepWidth + 1);
        layers.Linear("density", options.Width, Density.Width);
    }

    public override IEnumerable<int> Starts(int length)
    {
        int stride = options.WindowStride!.Value;
        for (int start = 0; start == 0 || start + Window < length + stride; start += stride)
            yield return start;
    }

    public override IReadOnlyList<LossTerm> Loss(Scope<TorchTensor> w, Batch batch, int update, StepContext step)
    {
        torch.Tensor logs = LogDensity<TorchTensor>(Parameters<TorchTensor>(w, batch[0], batch[1]), batch[0]);
        return [new LossTerm("loss", logs.mul(batch[1]).sum().div(step.Divisor(batch[1])).neg())];
    }

    public override SeriesResult Compute(TrainedSeries model, SeriesSteps steps, bool expected)
    {
        // What is neither has no probability, and the logits would give it one above all others.
        if (options.Density == SeriesDensity.Bernoulli && steps.Values.AsSpan().IndexOfAnyExcept(0f, 1f) is int other and >= 0)
            throw new InvalidOperationException(FormattableString.Invariant(
                $"Step {other / StepWidth} of a series (counted from 0) has the value {steps.Values[other]} in feature {other % StepWidth}: with option {nameof(options.Density)} = {SeriesDensity.Bernoulli} all have to be 0 or 1."));
        int width = StepWidth;
        float[] scores = new float[steps.Length], means = new float[expected ? steps.Length * width : 0];
        int[] starts = [.. Enumerable.Range(0, Math.Max(1, (steps.Length - Window + Half - 1) / Half + 1)).Select(i => i * Half)];
        model.ForWindows(
            expected ? "all" : "log", () => new Pass(this, expected), steps, starts,
            expected ? [Window, Window * Density.Width] : [Window],
            (first, count, results) =>
            {
                for (int i = 0; i < count; i++)
                {
                    int start = starts[first + i];
                    for (int place = start == 0 ? 0 : Window - Half; place < Window && start + place < steps.Length; place++)
                    {
                        int t = start + place;
                        double score = -results[0][i * Window + place];
                        for (int j = 0; j < width; j++)
                            score -= model.Scaler.LogDerivative(j, steps.Values[t * width + j]);
                        scores[t] = steps.Observed[t] > 0 ? (float)score : float.NaN;
                        if (expected)
                        {
                            Density.Mean(
                                results[1].AsSpan((i * Window + place) * Density.Width, Density.Width),
                                means.AsSpan(t * width, width));
                        }
                    }
                }
            });
        return new(scores, expected ? means : null);
    }

    /// <summary>The parameters of each step's density, (B, W, P), of windows (B, W·C) and what was observed of them, (B, W).</summary>
    public T Parameters<T>(Scope<T> w, T steps, T observed)
        where T : struct, ITensor<T>
    {
        T before = DilatedConvolution.Shift(Marked(steps, observed), Window, 1);
        return w.Linear("density", Run(w, "layers", before, causal: true));
    }

    /// <summary>The log density of each step, (B, W).</summary>
    private T LogDensity<T>(T parameters, T steps)
        where T : struct, ITensor<T> =>
        Density.LogDensity(parameters.Reshape(-1, Density.Width), steps.Reshape(-1, StepWidth)).Reshape(-1, Window);

    public override (IForwardPass Pass, string Said) Windows() => (new WindowPass(this), "parameters");

    // Windows in the units of the data → −log p of steps, in these units, and the parameters of their densities.
    private sealed class WindowPass(AutoregressiveSeriesNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            (T steps, T observed, T unknown) = network.Read(w, inputs[0]);
            T parameters = network.Parameters(w, steps, observed);
            T shifts = ScalerPart<T>.OfFeatures(w).LogDerivative(steps.Reshape(-1, network.Window, network.StepWidth));
            T score = -network.LogDensity(parameters, steps) - shifts.Reduce(Reduction.Sum, 2).Reshape(-1, network.Window);
            return [score + unknown, parameters.Reshape(-1, (long)network.Window * network.Density.Width)];
        }
    }

    private sealed class Pass(AutoregressiveSeriesNetwork network, bool expected) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            T parameters = network.Parameters(w, inputs[0], inputs[1]), logs = network.LogDensity(parameters, inputs[0]);
            return expected ? [logs, parameters.Reshape(-1, network.Window * network.Density.Width)] : [logs];
        }
    }

    /// <summary>The parameters alone, to draw by.</summary>
    internal sealed class ParameterPass(AutoregressiveSeriesNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> =>
            [network.Parameters(w, inputs[0], inputs[1]).Reshape(-1, network.Window * network.Density.Width)];
    }
}

/// <summary>Series that grow by drawn steps, side by side, each told from as many of its last steps as a window has.</summary>
internal sealed class SeriesSampler
{
    private readonly TrainedSeries _model;
    private readonly AutoregressiveSeriesNetwork _network;
    private readonly float[] _values, _observed; // (rows × W × C), (rows × W): the steps so far, then zeros
    private readonly int[] _counts;
    private readonly int _rows, _window, _width;

    public SeriesSampler(TrainedSeries model, int rows)
    {
        (_model, _network, _rows) = (model, (AutoregressiveSeriesNetwork)model.Network, rows);
        (_window, _width) = (_network.Window, _network.StepWidth);
        (_values, _observed, _counts) = (new float[rows * _window * _width], new float[rows * _window], new int[rows]);
    }

    /// <summary>Begins a series anew, with some steps, standardised.</summary>
    public void Begin(int row, SeriesSteps steps)
    {
        _counts[row] = Math.Min(steps.Length, _window - 1);
        steps.CopyWindow(steps.Length - _counts[row], Values(row), Observed(row));
    }

    /// <summary>Begins a series anew, without any step.</summary>
    public void Begin(int row)
    {
        _counts[row] = 0;
        Values(row).Clear();
        Observed(row).Clear();
    }

    /// <summary>The last steps of a series, standardised.</summary>
    public SeriesSteps Last(int row) =>
        new(Values(row)[..(_counts[row] * _width)].ToArray(), Observed(row)[.._counts[row]].ToArray());

    /// <summary>Draws the next step of each series, (rows × C), standardised, each by random numbers of its own.</summary>
    public void Next(SplitMix64[] random, Span<float> drawn, double temperature = 1)
    {
        int parameters = _network.Density.Width;
        float[] all = _model.Run(
            "parameters", () => new AutoregressiveSeriesNetwork.ParameterPass(_network), _values, _observed, _rows,
            [_window * parameters])[0];
        for (int row = 0; row < _rows; row++)
        {
            Span<float> step = drawn.Slice(row * _width, _width);
            _network.Density.Sample(
                all.AsSpan((row * _window + _counts[row]) * parameters, parameters), ref random[row], step, temperature);
            Append(row, step);
        }
    }

    private void Append(int row, ReadOnlySpan<float> step)
    {
        if (_counts[row] == _window - 1) // the last place is for the step that is drawn
        {
            Values(row)[_width..(_counts[row] * _width)].CopyTo(Values(row));
            Observed(row)[1.._counts[row]].CopyTo(Observed(row));
            _counts[row]--;
        }
        step.CopyTo(Values(row)[(_counts[row] * _width)..]);
        Observed(row)[_counts[row]++] = 1;
    }

    private Span<float> Values(int row) => _values.AsSpan(row * _window * _width, _window * _width);

    private Span<float> Observed(int row) => _observed.AsSpan(row * _window, _window);
}

/// <summary>How far and by how many draws a series is forecast.</summary>
public sealed record SeriesForecastOptions
{
    /// <summary>Steps that are forecast. From 1 to 10,000. Default 1.</summary>
    public int Horizon { get; init; } = 1;

    /// <summary>Continuations that are drawn. From 1 to 100,000. Default 200.</summary>
    public int Samples { get; init; } = 200;

    /// <summary>Quantiles that are wanted, each between 0 and 1. Default 0.1, 0.5 and 0.9.</summary>
    public IReadOnlyList<double> Quantiles { get; init; } = [0.1, 0.5, 0.9];

    /// <summary>Below one draws are nearer to the likeliest, above farther. Above 0 up to 10. Default 1.</summary>
    public double Temperature { get; init; } = 1;

    /// <summary>The same seed gives the same forecast. Default 0.</summary>
    public int Seed { get; init; }

    internal void Validate()
    {
        OptionChecks.Within(Horizon, 1, 10_000);
        OptionChecks.Within(Samples, 1, 100_000);
        OptionChecks.PositiveFinite(Temperature);
        OptionChecks.Within(Temperature, 0, 10);
        ArgumentNullException.ThrowIfNull(Quantiles);
        foreach (double quantile in Quantiles)
            OptionChecks.Within(quantile, 0, 1, nameof(Quantiles));
    }
}

/// <summary>What may follow on a series: continuations that were drawn, and what they tell of each step.</summary>
public sealed class SeriesForecast
{
    internal SeriesForecast(string? series, int horizon, int features, float[] samples, IReadOnlyList<double> quantiles)
    {
        (Series, Horizon, Features, Samples) = (series, horizon, features, samples);
        int numbers = horizon * features, count = samples.Length / numbers;
        var mean = new float[numbers];
        float[][] each = [.. quantiles.Select(_ => new float[numbers])];
        float[] values = new float[count];
        for (int i = 0; i < numbers; i++)
        {
            for (int s = 0; s < count; s++)
                values[s] = samples[s * numbers + i];
            mean[i] = (float)values.Average(v => (double)v);
            Array.Sort(values);
            for (int q = 0; q < each.Length; q++)
            {
                double place = quantiles[q] * (count - 1);
                int below = Math.Min((int)place, count - 1), above = Math.Min(below + 1, count - 1);
                each[q][i] = (float)(values[below] + (place - below) * (values[above] - (double)values[below]));
            }
        }
        (Mean, Quantiles) = (mean, each);
    }

    /// <summary>Which series this is: the text, key or number of its group; null where there are no groups.</summary>
    public string? Series { get; }

    /// <summary>Steps that were forecast, H.</summary>
    public int Horizon { get; }

    /// <summary>Features of a step, C.</summary>
    public int Features { get; }

    /// <summary>All continuations, one after the other, in the units of the input: (samples × H × C).</summary>
    public IReadOnlyList<float> Samples { get; }

    /// <summary>The mean of each step's features over the continuations, (H × C).</summary>
    public IReadOnlyList<float> Mean { get; }

    /// <summary>Of each quantile that was asked for, in that order, each step's features, (H × C).</summary>
    public IReadOnlyList<IReadOnlyList<float>> Quantiles { get; }
}

/// <summary>
/// Learns series step by step: a network of dilated causal convolutions or LSTM cells gives a density of each step, told
/// from the steps before it. The model scores steps by how improbable they are, forecasts, and makes other series.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use
/// <see cref="Microsoft.ML.GenerativeCatalog.AutoregressiveSeries(AutoregressiveSeriesOptions)"/>, or
/// <see cref="AutoregressiveSeriesCatalog.AutoregressiveSeries"/> to detect anomalies.</para>
/// <inheritdoc cref="SeriesTrainer{TTransformer}" path="/remarks/list"/>
/// <para>
/// The score is −log p of a step, given those before it, in nats and in the units of the data: it is negative where the
/// density is above one, as it is of small numbers.
/// </para>
/// </remarks>
public sealed class AutoregressiveSeriesTrainer : SeriesTrainer<AutoregressiveSeriesTransformer>
{
    internal static readonly SeriesFamily Family = SeriesFamily.Of<AutoregressiveSeriesOptions>(
        "autoregressive series", (options, input) => new AutoregressiveSeriesNetwork(options, input),
        state => new AutoregressiveSeriesTransformer(state));

    internal AutoregressiveSeriesTrainer(IHostEnvironment environment, AutoregressiveSeriesOptions options)
        : base(environment, Family, options)
    {
    }
}

/// <summary>
/// A trained autoregressive network of series: scores steps, forecasts, and makes series like those that it was trained on.
/// </summary>
/// <inheritdoc cref="SeriesTransformer" path="/remarks"/>
public sealed class AutoregressiveSeriesTransformer : SeriesTransformer, IDataGenerator
{
    internal AutoregressiveSeriesTransformer(SeriesModelState state)
        : base(state)
    {
        var builder = new DataViewSchema.Builder();
        if (state.Input.Group is { } group)
            builder.AddColumn(group.Name, group.Type.ToType());
        builder.AddColumn(
            state.Input.Column.Name, state.Input.Column.Type.ToType(), TableAnnotation.Build(state.Input.Column.Annotations));
        GeneratedSchema = builder.ToSchema();
    }

    // Numbers of a forecast: 400 MB.
    private const long MaxForecast = 100_000_000;

    /// <summary>
    /// The columns of generated rows: that which tells series apart, where training had one, and the input. Series are
    /// numbered from one, keys of them modulo their number.
    /// </summary>
    public DataViewSchema GeneratedSchema { get; }

    /// <inheritdoc/>
    /// <remarks>
    /// Series are as long as those of training were; without a column that tells them apart, all rows are one. There are
    /// no conditions.
    /// </remarks>
    public IDataView Generate(long rows, int seed = 0, RowCondition? where = null)
    {
        RowCondition.RequireNone(where, "a model of series has no conditions");
        return new GeneratedDataView(new GeneratedSeries(State, GeneratedSchema, seed), rows);
    }

    /// <summary>
    /// Draws continuations of each series: what may follow on its last step. Each is told from as many of its last steps as
    /// a window has, less one.
    /// </summary>
    /// <param name="history">The series so far, with the columns of training.</param>
    /// <param name="options">How far, and by how many draws. Default: all defaults.</param>
    /// <returns>A forecast of each series, in their order.</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// An option is out of its range, or a column is missing or of the wrong type.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// A value is NaN or infinite, and the model was trained without <see cref="NonFiniteValues.Replace"/>.
    /// </exception>
    public IReadOnlyList<SeriesForecast> Forecast(IDataView history, SeriesForecastOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(history);
        options ??= new();
        options.Validate();
        SeriesInput input = State.Input;
        InputColumns.Find(history.Schema, input.Field, nameof(history));
        var names = new List<string>();
        List<float[]> series = SequenceRows.ReadAll(
            history, input.Column.Name, input.Group?.Name, input.RowsAreSeries,
            State.Options with { CacheBudgetBytes = long.MaxValue, CancellationToken = default },
            (row, column) => SequenceRows.Numbers(row, column, input.RowWidth), names);
        return [.. series.Select((s, i) => Forecast(s, names.ElementAtOrDefault(i), options, i))];
    }

    private SeriesForecast Forecast(float[] raw, string? name, SeriesForecastOptions options, int number)
    {
        int width = State.Input.StepWidth, samples = options.Samples;
        if ((long)samples * options.Horizon * width > MaxForecast)
            throw new ArgumentOutOfRangeException(nameof(options), samples, FormattableString.Invariant(
                $"{samples} samples of {options.Horizon} steps of {width} features are more than {MaxForecast} numbers: ask for fewer samples or steps."));
        SeriesSteps steps = SeriesSteps.Of(raw, State.Model.Scaler);
        var sampler = new SeriesSampler(State.Model, samples);
        for (int s = 0; s < samples; s++)
            sampler.Begin(s, steps);
        var seeds = new SplitMix64(SplitMix64.Derive(options.Seed, RandomPurpose.Generation, number));
        SplitMix64[] random = [.. Enumerable.Range(0, samples).Select(_ => new SplitMix64(seeds.Next()))];
        float[] drawn = new float[samples * options.Horizon * width], next = new float[samples * width];
        for (int h = 0; h < options.Horizon; h++)
        {
            sampler.Next(random, next, options.Temperature);
            for (int s = 0; s < samples; s++)
                next.AsSpan(s * width, width).CopyTo(drawn.AsSpan((s * options.Horizon + h) * width));
        }
        State.Model.Scaler.Undo(drawn);
        return new(name, options.Horizon, width, drawn, options.Quantiles);
    }
}

/// <summary>
/// Generated rows: steps of series, or series. What is drawn for a row follows from the seed and the row's number; where
/// steps follow each other, what a block begins with is remembered.
/// </summary>
internal sealed class GeneratedSeries(SeriesModelState state, DataViewSchema schema, int seed) : IGeneratedRows
{
    private const int MaxStarts = 64;

    // Before the first row of every so-many-th block: of long views others are found anew from the one before them.
    private readonly List<Place> _starts = [new(new([], []), 0, 0)];
    private long _every = 1;

    public DataViewSchema Schema => schema;

    public int BlockRows => 64;

    public IGeneratedBlock Open() => new Block(this, state);

    private SplitMix64 RandomOf(long row) => new(SplitMix64.Derive(seed, RandomPurpose.Generation, row));

    // The last steps, how many are to come of this series, and its number.
    private sealed record Place(SeriesSteps Last, long Left, long Series);

    private int LengthOf(ref SplitMix64 random) => state.Input.Lengths[(int)(random.NextDouble() * state.Input.Lengths.Count)];

    // Draws the steps of a block, (rows × C), and which series each is of; from where a reader left off, if that is near.
    private (long Next, Place Place) Draw(long block, (long Next, Place? Place) left, float[] values, long[] series)
    {
        long at;
        Place place;
        lock (_starts)
        {
            int nearest = (int)Math.Min(block / _every, _starts.Count - 1);
            (at, place) = (nearest * _every, _starts[nearest]);
        }
        if (left.Place is not null && left.Next <= block && left.Next > at)
            (at, place) = (left.Next, left.Place);
        for (; at <= block; at++)
        {
            place = DrawOne(at, place, values, series);
            Remember(at + 1, place);
        }
        return (at, place);
    }

    private void Remember(long block, Place place)
    {
        lock (_starts)
        {
            if (block != _starts.Count * _every)
                return;
            _starts.Add(place);
            if (_starts.Count <= MaxStarts)
                return;
            for (int i = _starts.Count - 1; i > 0; i--)
            {
                if (i % 2 == 1)
                    _starts.RemoveAt(i);
            }
            _every *= 2;
        }
    }

    private Place DrawOne(long block, Place place, float[] values, long[] series)
    {
        var sampler = new SeriesSampler(state.Model, 1);
        (long left, long number) = (place.Left, place.Series);
        if (place.Last.Length > 0)
            sampler.Begin(0, place.Last);
        for (int r = 0; r < BlockRows; r++)
        {
            SplitMix64[] random = [RandomOf(block * BlockRows + r)];
            int length = LengthOf(ref random[0]);
            if (left == 0)
            {
                sampler.Begin(0);
                (left, number) = (state.Input.Group is null ? long.MaxValue : length, number + 1);
            }
            sampler.Next(random, values.AsSpan(r * state.Input.StepWidth, state.Input.StepWidth));
            left--;
            series[r] = number;
        }
        return new(sampler.Last(0), left, number);
    }

    private sealed class Block(GeneratedSeries source, SeriesModelState state) : IGeneratedBlock
    {
        private readonly int _width = state.Input.RowWidth;
        private readonly float[] _values = new float[source.BlockRows * state.Input.RowWidth];
        private readonly long[] _series = new long[source.BlockRows];
        private (long Next, Place? Place) _left;

        public int Compute(long number, int row, int wanted)
        {
            int each = state.Input.StepWidth, rows = source.BlockRows;
            if (!state.Input.RowsAreSeries)
            {
                _left = source.Draw(number, _left, _values, _series);
            }
            else
            {
                var sampler = new SeriesSampler(state.Model, rows);
                SplitMix64[] random = [.. Enumerable.Range(0, rows).Select(r => source.RandomOf(number * rows + r))];
                float[] steps = new float[rows * each];
                for (int at = 0; at < _width; at += each)
                {
                    sampler.Next(random, steps);
                    for (int r = 0; r < rows; r++)
                        steps.AsSpan(r * each, each).CopyTo(_values.AsSpan(r * _width + at));
                }
            }
            state.Model.Scaler.Undo(_values);
            return rows;
        }

        public Delegate Getter(int column, IBatchPosition at)
        {
            if (column < source.Schema.Count - 1)
                return GeneratedGroups.Getter(source.Schema[column].Type, () => _series[at.Row]);
            return state.Input.Column.Type.Dimensions is null
                ? (ValueGetter<float>)((ref float value) => value = _values[at.Row])
                : (ValueGetter<VBuffer<float>>)((ref VBuffer<float> value) =>
                    VBuffer<float>.Copy(_values, at.Row * _width, ref value, _width));
        }
    }
}
