using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>
/// A hidden Markov model (Rabiner 1989) of K states, in double precision: where sequences start, how states follow each
/// other, and what each emits. A step of a sequence is a row of numbers, or the number of a category; NaN in it says
/// that it was not observed.
/// </summary>
internal sealed class HiddenMarkovModel
{
    /// <summary>Exponentials below this do not count beside others, and slow a processor down as they come near zero.</summary>
    public const double Least = -600;

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

    /// <summary>From log p(state) the same of the next step, in place.</summary>
    public void Advance(ReadOnlySpan<double> logState, Span<double> next) =>
        LogProduct(_transitions, _logTransitions, logState, next);

    /// <summary>From log p(later steps | next state) the same by the state before.</summary>
    public void Retreat(ReadOnlySpan<double> logNext, Span<double> before) =>
        LogProduct(_backward, _logBackward, logNext, before);

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

    // log Σᵢ exp(vᵢ)·Mᵢⱼ for each j. Sums are of K exponentials, not of K²; where all that count for a j have underflown
    // beside the largest, its own sum is computed as it should be.
    private static void LogProduct(double[] matrix, double[] logs, ReadOnlySpan<double> v, Span<double> result)
    {
        int k = v.Length;
        double most = TensorPrimitives.Max(v);
        if (double.IsNegativeInfinity(most))
        {
            result.Fill(double.NegativeInfinity);
            return;
        }
        result.Clear();
        for (int i = 0; i < k; i++)
        {
            double weight = v[i] - most > Least ? Math.Exp(v[i] - most) : 0;
            ReadOnlySpan<double> row = matrix.AsSpan(i * k, k);
            for (int j = 0; weight > 0 && j < row.Length; j++)
                result[j] += weight * row[j];
        }
        Span<double> terms = k <= 256 ? stackalloc double[k] : new double[k];
        for (int j = 0; j < k; j++)
        {
            if (result[j] > 1e-280)
            {
                result[j] = most + Math.Log(result[j]);
                continue;
            }
            for (int i = 0; i < k; i++)
                terms[i] = v[i] + logs[i * k + j];
            result[j] = LogSum(terms);
        }
    }
}

/// <summary>
/// What a model says of a sequence: forward and backward passes and the likeliest path, all in logarithms, so that no
/// state is lost that only later steps speak for. A step that no state can have emitted, given the steps before, has a
/// log-likelihood of −∞, and for the states counts as one that was not observed.
/// </summary>
internal sealed class HiddenMarkovInference(HiddenMarkovModel model, ReadOnlyMemory<float> values)
{
    private const int ChunkSteps = 1024;

    private readonly int _states = model.States, _width = model.Emissions.Width;
    private double[] _emitted = [], _filtered = [], _later = []; // logarithms, (T × K)
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

    /// <summary>log p(state | this step and those before), (K).</summary>
    public ReadOnlySpan<double> LogFiltered(int step) => _filtered.AsSpan(step * _states, _states);

    /// <summary>p(state | all steps), (K); after <see cref="Backward"/>.</summary>
    public void Smoothed(int step, Span<double> result)
    {
        TensorPrimitives.Add(LogFiltered(step), _later.AsSpan(step * _states, _states), result);
        TensorPrimitives.Exp<double>(result, result);
        // Rounding grows with the length of a sequence; a probability stays one.
        TensorPrimitives.Divide<double>(result, TensorPrimitives.Sum<double>(result), result);
    }

    public void Allocate()
    {
        _emitted = new double[Steps * _states];
        _filtered = new double[Steps * _states];
        _stepLogLikelihoods = new double[Steps];
        _observed = new bool[Steps];
    }

    /// <summary>Computes what each state thinks of the steps of a chunk.</summary>
    public void Emit(int chunk)
    {
        for (int t = chunk * ChunkSteps; t < Math.Min(Steps, (chunk + 1) * ChunkSteps); t++)
        {
            ReadOnlySpan<float> step = Step(t);
            // Not observed: every state may have emitted it, logarithms of zero.
            _observed[t] = float.IsFinite(TensorPrimitives.MaxMagnitude(step));
            if (_observed[t])
                model.Emissions.LogProbabilities(step, _emitted.AsSpan(t * _states, _states));
        }
    }

    public void Forward()
    {
        (LogLikelihood, ObservedSteps) = (0, 0);
        Span<double> both = new double[_states];
        for (int t = 0; t < Steps; t++)
        {
            Span<double> now = _filtered.AsSpan(t * _states, _states), emitted = _emitted.AsSpan(t * _states, _states);
            if (t == 0)
                model.LogStart.CopyTo(now);
            else
                model.Advance(LogFiltered(t - 1), now);
            if (!_observed[t])
                continue;
            ObservedSteps++;
            TensorPrimitives.Add(emitted, now, both);
            double sum = HiddenMarkovModel.LogSum(both);
            LogLikelihood += _stepLogLikelihoods[t] = sum;
            if (double.IsNegativeInfinity(sum))
                emitted.Clear();
            else
                TensorPrimitives.Subtract(both, sum, now);
        }
    }

    public void Backward()
    {
        _later = new double[Steps * _states];
        Span<double> next = new double[_states];
        for (int t = Steps - 2; t >= 0; t--)
        {
            LogNext(t, next);
            model.Retreat(next, _later.AsSpan(t * _states, _states));
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
                LogNext(t, next);
                AddTransition(LogFiltered(t), next, sums.Transitions);
            }
        }
    }

    private ReadOnlySpan<float> Step(int t) => values.Span.Slice(t * _width, _width);

    // log p(steps from the next one on | next state, steps so far).
    private void LogNext(int t, Span<double> next)
    {
        int at = (t + 1) * _states;
        TensorPrimitives.Add<double>(_emitted.AsSpan(at, _states), _later.AsSpan(at, _states), next);
        if (double.IsFinite(_stepLogLikelihoods[t + 1]))
            TensorPrimitives.Subtract(next, _stepLogLikelihoods[t + 1], next);
    }

    // p(state and next state | all steps), (K × K), which sum to one.
    private void AddTransition(ReadOnlySpan<double> now, Span<double> next, double[] sums)
    {
        double most = TensorPrimitives.Max<double>(next);
        bool fits = most < -HiddenMarkovModel.Least; // its exponential is a number
        for (int j = 0; fits && j < _states; j++)
            next[j] = next[j] > HiddenMarkovModel.Least ? Math.Exp(next[j]) : 0;
        for (int i = 0; i < _states; i++)
        {
            double own = now[i] > HiddenMarkovModel.Least ? Math.Exp(now[i]) : 0;
            for (int j = 0, at = i * _states; j < _states; j++, at++)
            {
                sums[at] += fits
                    ? own * model.Transitions[at] * next[j]
                    : Math.Exp(now[i] + model.LogTransitions[at] + next[j]);
            }
        }
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
