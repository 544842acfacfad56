using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>
/// A hidden Markov model (Rabiner 1989) of K states, in double precision: where sequences start, how states follow each
/// other, and what each emits. A step of a sequence is a row of numbers, or the number of a category; NaN in it says
/// that it was not observed.
/// </summary>
internal sealed class HiddenMarkovModel
{
    private readonly double[] _transitions, _backward, _logTransitions, _logBackward; // (K × K), and transposed

    public HiddenMarkovModel(double[] start, double[] transitions, HiddenMarkovEmissions emissions)
    {
        (Start, _transitions, Emissions) = (start, transitions, emissions);
        int k = States;
        _backward = new double[k * k];
        for (int i = 0; i < k * k; i++)
            _backward[i % k * k + i / k] = transitions[i];
        LogStart = Array.ConvertAll(start, Math.Log);
        _logTransitions = Array.ConvertAll(transitions, Math.Log);
        _logBackward = Array.ConvertAll(_backward, Math.Log);
    }

    public int States => Start.Length;

    /// <summary>The probability of each state at the first step.</summary>
    public double[] Start { get; }

    public double[] LogStart { get; }

    /// <summary>The probabilities of each state after each, (K × K).</summary>
    public double[] Transitions => _transitions;

    public double[] LogTransitions => _logTransitions;

    public HiddenMarkovEmissions Emissions { get; }

    /// <summary>From the probability of each state, a <see cref="Tiny"/> number, the same of the next step.</summary>
    public void Advance(ReadOnlySpan<double> states, Span<double> next) =>
        Tiny.Product(_transitions, _logTransitions, states, next);

    /// <summary>From p(later steps | next state) the same by the state before.</summary>
    public void Retreat(ReadOnlySpan<double> next, Span<double> before) =>
        Tiny.Product(_backward, _logBackward, next, before);

    /// <summary>log Σᵢ exp(vᵢ): −∞ of nothing.</summary>
    public static double LogSum(ReadOnlySpan<double> values)
    {
        double most = TensorPrimitives.Max(values), sum = 0;
        if (double.IsInfinity(most))
            return most;
        foreach (double value in values)
            sum += Math.Exp(value - most);
        return most + Math.Log(sum);
    }
}

/// <summary>
/// Numbers of at most one that may be far below what fits into a double: a positive one is meant itself, and one that is
/// less than zero is the logarithm of what is meant. So sums and products are those of plain numbers, and logarithms are
/// computed where it takes them alone.
/// </summary>
internal static class Tiny
{
    private const double Log = -449; // the least logarithm of a number that is there itself
    private const double Plain = 1e-195; // about that number
    public const double Sum = 1e-170; // of which others that are there as logarithms do not change a digit

    /// <summary>Whether the number of such a logarithm is there itself.</summary>
    public static bool IsPlain(double log) => log > Log;

    public static double Of(double log) => IsPlain(log) ? Math.Exp(log) : log;

    public static double LogOf(double value) => value > 0 ? Math.Log(value) : value;

    /// <summary>The products of two, each.</summary>
    public static void Multiply(ReadOnlySpan<double> a, ReadOnlySpan<double> b, Span<double> result)
    {
        for (int i = 0; i < result.Length; i++)
        {
            double product = a[i] * b[i];
            result[i] = a[i] > 0 && b[i] > 0 && product > Plain ? product : Of(LogOf(a[i]) + LogOf(b[i]));
        }
    }

    /// <summary>
    /// Makes them sum to one; gives the logarithm of what they summed to, which is −∞ of nothing, that stays, and NaN where
    /// nobody asks and it was not needed.
    /// </summary>
    public static double Normalize(Span<double> values, bool asksLog = false)
    {
        double sum = 0;
        bool hasLogs = false;
        foreach (double value in values)
        {
            sum += Math.Max(value, 0);
            hasLogs |= !(value > 0);
        }
        double log = asksLog || hasLogs ? Math.Log(sum) : double.NaN;
        if (sum > Sum)
        {
            double scale = 1 / sum;
            for (int i = 0; i < values.Length; i++)
                values[i] = values[i] > 0 ? values[i] * scale : Of(values[i] - log);
            return log;
        }
        for (int i = 0; i < values.Length; i++)
            values[i] = LogOf(values[i]);
        log = HiddenMarkovModel.LogSum(values);
        for (int i = 0; i < values.Length; i++)
            values[i] = double.IsNegativeInfinity(log) ? values[i] : Of(values[i] - log);
        return log;
    }

    /// <summary>Σᵢ vᵢ·Mᵢⱼ for each j, where the elements of M and their logarithms are given.</summary>
    public static void Product(double[] matrix, double[] logs, ReadOnlySpan<double> v, Span<double> result)
    {
        int k = v.Length;
        result.Clear();
        for (int i = 0; i < k; i++)
        {
            double weight = v[i];
            if (!(weight > 0))
                continue;
            ReadOnlySpan<double> row = matrix.AsSpan(i * k, k);
            for (int j = 0; j < row.Length && j < result.Length; j++)
                result[j] += weight * row[j];
        }
        Span<double> terms = k <= 256 ? stackalloc double[k] : new double[k];
        for (int j = 0; j < k; j++)
        {
            if (result[j] > Sum)
                continue;
            for (int i = 0; i < k; i++)
                terms[i] = LogOf(v[i]) + logs[i * k + j];
            result[j] = Of(HiddenMarkovModel.LogSum(terms));
        }
    }
}

/// <summary>
/// What a model says of a sequence: forward and backward passes, in <see cref="Tiny"/> numbers, so that no state is lost
/// that only later steps speak for, and the likeliest path. A step that no state can have emitted, given the steps before, has a
/// log-likelihood of −∞, and for the states counts as one that was not observed.
/// </summary>
internal sealed class HiddenMarkovInference(HiddenMarkovModel model, ReadOnlyMemory<float> values)
{
    private const int ChunkSteps = 1024;

    private readonly int _states = model.States, _width = model.Emissions.Width;
    private double[] _emitted = []; // logarithms, (T × K)
    private double[] _shares = [], _filtered = [], _later = []; // tiny numbers: of the likeliest emission, and of one
    private double[] _most = []; // the logarithm of the likeliest emission
    private double[] _stepLogLikelihoods = [];
    private bool[] _observed = [];

    /// <summary>The steps of the sequence, T.</summary>
    public int Steps { get; } = values.Length / model.Emissions.Width;

    /// <summary>Parts of the sequence, for work that is split among threads.</summary>
    public int Chunks => (Steps + ChunkSteps - 1) / ChunkSteps;

    /// <summary>log p(step | steps before); −∞ for an impossible one, NaN for one that was not observed.</summary>
    public double StepLogLikelihood(int step) => _observed[step] ? _stepLogLikelihoods[step] : double.NaN;

    /// <summary>log p(all observed steps).</summary>
    public double LogLikelihood { get; private set; }

    /// <summary>Steps that were observed.</summary>
    public int ObservedSteps { get; private set; }

    /// <summary>log p(state | this step and those before).</summary>
    public double LogFiltered(int step, int state) => Tiny.LogOf(_filtered[step * _states + state]);

    /// <summary>p(state | all steps), (K); after <see cref="Backward"/>.</summary>
    public void Smoothed(int step, Span<double> result)
    {
        Tiny.Multiply(Of(_filtered, step), Of(_later, step), result);
        Tiny.Normalize(result);
        foreach (ref double share in result)
            share = Math.Max(share, 0);
    }

    public void Allocate()
    {
        _emitted = new double[Steps * _states];
        _shares = new double[Steps * _states];
        _filtered = new double[Steps * _states];
        _most = new double[Steps];
        _stepLogLikelihoods = new double[Steps];
        _observed = new bool[Steps];
    }

    /// <summary>Computes what each state thinks of the steps of a chunk.</summary>
    public void Emit(int chunk)
    {
        int first = chunk * ChunkSteps, end = Math.Min(Steps, first + ChunkSteps);
        Span<double> shares = _shares.AsSpan(first * _states, (end - first) * _states);
        for (int t = first; t < end; t++)
        {
            ReadOnlySpan<float> step = Step(t);
            Span<double> emitted = Of(_emitted, t), own = Of(_shares, t);
            // Not observed: every state may have emitted it, logarithms of zero.
            _observed[t] = IsFinite(step);
            if (_observed[t])
                model.Emissions.LogProbabilities(step, emitted);
            double most = double.NegativeInfinity;
            foreach (double log in emitted)
                most = Math.Max(most, log);
            _most[t] = most = double.IsFinite(most) ? most : 0;
            for (int k = 0; k < own.Length; k++)
                own[k] = emitted[k] - most;
        }
        Span<double> exponentials = new double[shares.Length];
        TensorPrimitives.Exp(shares, exponentials);
        for (int i = 0; i < shares.Length; i++)
            shares[i] = Tiny.IsPlain(shares[i]) ? exponentials[i] : shares[i];
    }

    /// <summary>Both passes at once.</summary>
    public void ForwardBackward(ParallelOptions threads)
    {
        bool changes = false;
        Parallel.Invoke(threads, () => changes = Forward(), Backward);
        if (changes)
            Backward();
    }

    /// <summary>Goes from the first step to the last; says whether it changed what the way back depends on.</summary>
    public bool Forward()
    {
        (LogLikelihood, ObservedSteps) = (0, 0);
        bool hasImpossible = false;
        Span<double> both = new double[_states];
        for (int t = 0; t < Steps; t++)
        {
            Span<double> now = Of(_filtered, t), shares = Of(_shares, t);
            for (int k = 0; t == 0 && k < _states; k++)
                now[k] = Tiny.Of(model.LogStart[k]);
            if (t > 0)
                model.Advance(Of(_filtered, t - 1), now);
            if (!_observed[t])
                continue;
            ObservedSteps++;
            Tiny.Multiply(shares, now, both);
            LogLikelihood += _stepLogLikelihoods[t] = _most[t] + Tiny.Normalize(both, asksLog: true);
            if (double.IsNegativeInfinity(_stepLogLikelihoods[t]))
            {
                Of(_emitted, t).Clear();
                shares.Fill(1);
                hasImpossible = true;
            }
            else
            {
                both.CopyTo(now);
            }
        }
        return hasImpossible;
    }

    public void Backward()
    {
        _later = new double[Steps * _states];
        if (Steps > 0)
            Of(_later, Steps - 1).Fill(1);
        Span<double> next = new double[_states];
        for (int t = Steps - 2; t >= 0; t--)
        {
            Next(t, next);
            Span<double> before = Of(_later, t);
            model.Retreat(next, before);
            // As shares of one, whatever they are: only how they compare counts.
            Tiny.Normalize(before);
        }
    }

    /// <summary>The likeliest path of states (Viterbi 1967).</summary>
    public void Path(Span<int> states)
    {
        var before = new int[Steps * _states];
        double[] best = new double[_states], next = new double[_states];
        for (int t = 0; t < Steps; t++)
        {
            for (int j = 0; j < _states; j++)
            {
                int from = 0;
                double most = t == 0 ? model.LogStart[j] : double.NegativeInfinity;
                for (int i = 0; t > 0 && i < _states; i++)
                {
                    double path = best[i] + model.LogTransitions[i * _states + j];
                    if (path > most)
                        (most, from) = (path, i);
                }
                next[j] = most + _emitted[t * _states + j];
                before[t * _states + j] = from;
            }
            (best, next) = (next, best);
        }
        PathLogLikelihood = TensorPrimitives.Max<double>(best);
        for (int t = Steps - 1, state = Array.IndexOf(best, PathLogLikelihood); t >= 0; t--)
        {
            states[t] = state;
            state = before[t * _states + state];
        }
    }

    /// <summary>log p(likeliest path and all steps); steps that are impossible do not count.</summary>
    public double PathLogLikelihood { get; private set; }

    /// <summary>Adds what the steps of a chunk say of the model; after <see cref="Backward"/>.</summary>
    public void Observe(int chunk, HiddenMarkovSums sums)
    {
        double[] shares = new double[_states], next = new double[_states];
        for (int t = chunk * ChunkSteps; t < Math.Min(Steps, (chunk + 1) * ChunkSteps); t++)
        {
            Smoothed(t, shares);
            if (t == 0)
                TensorPrimitives.Add<double>(sums.Start, shares, sums.Start);
            if (_observed[t] && double.IsFinite(_stepLogLikelihoods[t]))
                model.Emissions.Add(Step(t), shares, _emitted.AsSpan(t * _states, _states), sums.Emissions);
            if (t + 1 < Steps)
            {
                Next(t, next);
                AddTransition(Of(_filtered, t), next, sums.Transitions);
            }
        }
    }

    private ReadOnlySpan<float> Step(int t) => values.Span.Slice(t * _width, _width);

    private Span<double> Of(double[] numbers, int t) => numbers.AsSpan(t * _states, _states);

    private static bool IsFinite(ReadOnlySpan<float> step)
    {
        foreach (float value in step)
        {
            if (!float.IsFinite(value))
                return false;
        }
        return true;
    }

    // p(steps from the next one on | next state), as shares of one.
    private void Next(int t, Span<double> next)
    {
        Tiny.Multiply(Of(_shares, t + 1), Of(_later, t + 1), next);
        Tiny.Normalize(next);
    }

    // p(state and next state | all steps), (K × K), which sum to one.
    private void AddTransition(ReadOnlySpan<double> now, ReadOnlySpan<double> next, double[] sums)
    {
        double all = 0;
        for (int i = 0; i < _states; i++)
        {
            double row = 0;
            for (int j = 0, at = i * _states; now[i] > 0 && j < _states; j++, at++)
                row += Math.Max(next[j], 0) * model.Transitions[at];
            all += now[i] > 0 ? now[i] * row : 0;
        }
        if (all > Tiny.Sum)
        {
            for (int i = 0; i < _states; i++)
            {
                double own = Math.Max(now[i], 0) / all;
                for (int j = 0, at = i * _states; own > 0 && j < _states; j++, at++)
                    sums[at] += own * model.Transitions[at] * Math.Max(next[j], 0);
            }
            return;
        }
        double[] pairs = new double[_states * _states];
        for (int at = 0; at < pairs.Length; at++)
            pairs[at] = Tiny.Of(Tiny.LogOf(now[at / _states]) + model.LogTransitions[at] + Tiny.LogOf(next[at % _states]));
        Tiny.Normalize(pairs);
        for (int at = 0; at < pairs.Length; at++)
            sums[at] += Math.Max(pairs[at], 0);
    }
}

/// <summary>What sequences say of a model, to be added up: expected starts, transitions and emissions.</summary>
internal sealed class HiddenMarkovSums(HiddenMarkovModel model)
{
    public double[] Start { get; } = new double[model.States];

    public double[] Transitions { get; } = new double[model.States * model.States];

    public double[] Emissions { get; } = new double[model.Emissions.SumsLength];

    public void Add(HiddenMarkovSums others)
    {
        TensorPrimitives.Add<double>(Start, others.Start, Start);
        TensorPrimitives.Add<double>(Transitions, others.Transitions, Transitions);
        TensorPrimitives.Add<double>(Emissions, others.Emissions, Emissions);
    }

    /// <summary>
    /// The likeliest model by these sums. A row that nothing was counted for stays as it was, and so does what is not to
    /// be learned.
    /// </summary>
    public HiddenMarkovModel Maximize(HiddenMarkovParts learned)
    {
        double[] start = [.. model.Start], transitions = [.. model.Transitions];
        if (learned.HasFlag(HiddenMarkovParts.Start))
            Normalize(Start, start);
        for (int i = 0; learned.HasFlag(HiddenMarkovParts.Transitions) && i < model.States; i++)
            Normalize(Transitions.AsSpan(i * model.States, model.States), transitions.AsSpan(i * model.States, model.States));
        return new(start, transitions, learned.HasFlag(HiddenMarkovParts.Emissions)
            ? model.Emissions.Maximize(Emissions) : model.Emissions);
    }

    /// <summary>Counts as probabilities, which sum to one to the last bits.</summary>
    public static void Normalize(ReadOnlySpan<double> counts, Span<double> result)
    {
        double sum = TensorPrimitives.Sum(counts);
        if (sum > 1e-200)
            TensorPrimitives.Divide(counts, sum, result);
    }
}
