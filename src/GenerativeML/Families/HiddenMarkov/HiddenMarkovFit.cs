using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>
/// Baum-Welch (Baum 1970) over sequences of any lengths, on all cores. Sums are added up in an order that does not
/// depend on how many cores there are.
/// </summary>
internal sealed class HiddenMarkovFit(
    HiddenMarkovOptions options, HiddenMarkovInput input, TrainingContext context)
{
    private const int BatchSteps = 1 << 16; // that are in memory with what is inferred of them
    private const int FewSteps = 1000;
    private const int SampleSteps = 10_000;
    private const int FirstIterations = 10; // of each start, before the best goes on
    private const int MaxParts = 16;

    /// <summary>
    /// A model of sequences, from the likeliest of several starts. One that is not reported on is there to calibrate
    /// another one: when that was stopped and is to be returned, it takes no more time, either.
    /// </summary>
    public HiddenMarkovModel Run(IReadOnlyList<float[]> sequences, bool report = true)
    {
        HiddenMarkovModel model = Begin(sequences, report);
        if (options.Learned == HiddenMarkovParts.None)
            return model;
        int most = options.Epochs ?? 200;
        double last = double.NegativeInfinity;
        var progress = new HiddenMarkovProgress(context, most, sequences.Sum(s => (long)s.Length / input.StepWidth));
        for (int iteration = 1; iteration <= most; iteration++)
        {
            if (IsStopped(hasModel: iteration > 1 || !report))
                break;
            (double logLikelihood, HiddenMarkovSums sums) = Expect(model, sequences);
            model = sums.Maximize(options.Learned);
            bool settled = options.Tolerance > 0 && logLikelihood - last < options.Tolerance;
            last = logLikelihood;
            if (report)
                progress.Report(iteration, -logLikelihood, settled || iteration == most);
            if (settled)
                break;
        }
        return model;
    }

    /// <summary>The mean log-likelihood of an observed step, and what all of them say of the model.</summary>
    public static (double LogLikelihood, HiddenMarkovSums Sums) Expect(
        HiddenMarkovModel model, IReadOnlyList<float[]> sequences)
    {
        long numbers = model.Transitions.Length + model.Emissions.SumsLength;
        var parts = new HiddenMarkovSums[Math.Clamp((1 << 23) / numbers, 1, MaxParts)];
        for (int p = 0; p < parts.Length; p++)
            parts[p] = new(model);
        double total = 0;
        long observed = 0, counted = 0;
        for (int next = 0; next < sequences.Count;)
        {
            var batch = new List<HiddenMarkovInference>();
            for (long steps = 0; next < sequences.Count && steps < BatchSteps; steps += batch[^1].Steps)
                batch.Add(new(model, sequences[next++]));
            (HiddenMarkovInference Sequence, int Chunk)[] chunks =
                [.. batch.SelectMany(s => Enumerable.Range(0, s.Chunks).Select(c => (s, c)))];
            batch.ForEach(s => s.Allocate());
            // Handing little work to other threads takes longer than doing it.
            var threads = new ParallelOptions { MaxDegreeOfParallelism = batch.Sum(s => (long)s.Steps) < FewSteps ? 1 : -1 };
            Parallel.ForEach(chunks, threads, part => part.Sequence.Emit(part.Chunk));
            Parallel.ForEach(batch, threads, sequence => sequence.ForwardBackward(threads));
            Parallel.For(0, parts.Length, threads, p =>
            {
                for (int c = 0; c < chunks.Length; c++)
                {
                    if ((counted + c) % parts.Length == p)
                        chunks[c].Sequence.Observe(chunks[c].Chunk, parts[p]);
                }
            });
            counted += chunks.Length;
            total += batch.Sum(s => s.LogLikelihood);
            observed += batch.Sum(s => (long)s.ObservedSteps);
        }
        foreach (HiddenMarkovSums part in parts[1..])
            parts[0].Add(part);
        return (total / Math.Max(1, observed), parts[0]);
    }

    /// <summary>The deviation of each feature over all observed steps, one where it is constant.</summary>
    public static (double[] Scale, int[] Constant) ScaleOf(IReadOnlyList<float[]> sequences, int width)
    {
        double[] mean = new double[width], square = new double[width];
        long count = 0;
        foreach (float[] sequence in sequences)
        {
            for (int at = 0; at < sequence.Length; at += width)
            {
                ReadOnlySpan<float> step = sequence.AsSpan(at, width);
                if (!float.IsFinite(TensorPrimitives.MaxMagnitude(step)))
                    continue;
                count++;
                for (int j = 0; j < width; j++)
                {
                    double away = step[j] - mean[j];
                    mean[j] += away / count;
                    square[j] += away * (step[j] - mean[j]);
                }
            }
        }
        double[] scale = [.. square.Select(s => s > 0 ? Math.Sqrt(s / count) : 1)];
        return (scale, [.. Enumerable.Range(0, width).Where(j => !(square[j] > 0))]);
    }

    private bool IsStopped(bool hasModel)
    {
        bool returns = hasModel && options.CancellationBehavior == CancellationBehavior.ReturnModel;
        if (!returns)
            options.CancellationToken.ThrowIfCancellationRequested();
        return options.CancellationToken.IsCancellationRequested;
    }

    private HiddenMarkovModel Begin(IReadOnlyList<float[]> sequences, bool report)
    {
        if (options.Parameters is { } given)
            return input.ToModel(given, options, sequences);
        float[][] sample = Sample(sequences);
        HiddenMarkovModel? best = null;
        double most = double.NegativeInfinity;
        for (int start = 0; start < options.Starts; start++)
        {
            var random = new SplitMix64(SplitMix64.Derive(context.Seed, RandomPurpose.Initialization, start));
            HiddenMarkovModel model = Start(sample, start, ref random);
            double reached = double.NegativeInfinity;
            for (int i = 0; i < FirstIterations && options.Starts > 1 && !IsStopped(hasModel: !report); i++)
            {
                (reached, HiddenMarkovSums sums) = Expect(model, sample);
                model = sums.Maximize(HiddenMarkovParts.All);
            }
            if (best is null || reached > most)
                (best, most) = (model, reached);
        }
        return best!;
    }

    // Some of the sequences; pieces of long ones, but where it counts how far in a sequence a step is.
    private float[][] Sample(IReadOnlyList<float[]> sequences)
    {
        int piece = 1000 * input.StepWidth;
        float[][] all = options.Topology != HiddenMarkovTopology.Ergodic
            ? [.. sequences]
            : [.. sequences.SelectMany(s => s.Length <= piece ? [s] : s.Chunk(piece))];
        long steps = all.Sum(s => (long)s.Length) / input.StepWidth;
        int stride = (int)Math.Clamp(steps / SampleSteps, 1, all.Length);
        return [.. all.Where((_, i) => i % stride == 0)];
    }

    // States that steps are assigned to, and what follows from that by counting.
    private HiddenMarkovModel Start(float[][] sample, int number, ref SplitMix64 random)
    {
        int k = options.States, d = input.StepWidth;
        bool ordered = options.Topology != HiddenMarkovTopology.Ergodic;
        (double[] scale, _) = ScaleOf(sample, d);
        var rows = new List<(int Sequence, int Step)>();
        for (int s = 0; s < sample.Length; s++)
        {
            for (int t = 0; t < sample[s].Length / d; t++)
            {
                if (float.IsFinite(TensorPrimitives.MaxMagnitude<float>(sample[s].AsSpan(t * d, d))))
                    rows.Add((s, t));
            }
        }
        int[] states = new int[rows.Count];
        if (ordered)
        {
            // Each sequence in as many parts; at the first start of equal length.
            double[][] ends = new double[sample.Length][];
            for (int s = 0; s < sample.Length; s++)
            {
                ends[s] = new double[k];
                for (int i = 0; i < k; i++)
                    ends[s][i] = number == 0 ? (i + 1.0) / k : i == k - 1 ? 1 : random.NextDouble();
                Array.Sort(ends[s]);
            }
            for (int r = 0; r < states.Length; r++)
            {
                double place = (rows[r].Step + 0.5) / (sample[rows[r].Sequence].Length / d);
                states[r] = Math.Min(k - 1, Array.FindIndex(ends[rows[r].Sequence], end => place < end));
            }
        }
        else if (!input.IsCategorical)
        {
            states = Cluster(sample, rows, scale, k, ref random);
        }
        double[] start = new double[k], transitions = new double[k * k];
        for (int i = 0; i < k; i++)
        {
            start[i] = ordered ? i == 0 ? 1 : 0 : 1.0 / k;
            for (int j = 0; j < k; j++)
            {
                bool allowed = options.Topology switch
                {
                    HiddenMarkovTopology.Linear => j == i || j == i + 1,
                    HiddenMarkovTopology.LeftToRight => j >= i,
                    _ => true,
                };
                transitions[i * k + j] = allowed ? 1 + (input.IsCategorical && !ordered ? random.NextDouble() : 0) : 0;
            }
        }
        for (int r = 1; r < rows.Count; r++)
        {
            if (rows[r].Sequence == rows[r - 1].Sequence && rows[r].Step == rows[r - 1].Step + 1
                && transitions[states[r - 1] * k + states[r]] > 0 && (ordered || !input.IsCategorical))
                transitions[states[r - 1] * k + states[r]]++;
        }
        for (int i = 0; i < k; i++)
            HiddenMarkovSums.Normalize(transitions.AsSpan(i * k, k), transitions.AsSpan(i * k, k));
        return new(start, transitions, input.IsCategorical
            ? Categories(sample, rows, states, ordered, ref random)
            : Gaussians(sample, rows, states, scale, ref random));
    }

    // Each state has the categories of all steps, with chance; in order, those of its own part above all.
    private CategoricalEmissions Categories(
        float[][] sample, List<(int Sequence, int Step)> rows, int[] states, bool ordered, ref SplitMix64 random)
    {
        int categories = input.Categories;
        double[] all = new double[categories], counts = new double[options.States * categories];
        Array.Fill(all, options.PseudoCount!.Value);
        for (int r = 0; r < rows.Count; r++)
        {
            int category = (int)sample[rows[r].Sequence][rows[r].Step];
            all[category]++;
            counts[states[r] * categories + category] += ordered ? 1 : 0;
        }
        // A category that no row of the sample has may be in others.
        for (int c = 0; c < counts.Length; c++)
            counts[c] += (all[c % categories] + 1e-3) * (ordered ? 0.1 : 0.5 + random.NextDouble());
        for (int at = 0; at < counts.Length; at += categories)
            HiddenMarkovSums.Normalize(counts.AsSpan(at, categories), counts.AsSpan(at, categories));
        return new(counts, categories, options.PseudoCount.Value);
    }

    private HiddenMarkovEmissions Gaussians(
        float[][] sample, List<(int Sequence, int Step)> rows, int[] states, double[] scale, ref SplitMix64 random)
    {
        int k = options.States, m = options.MixtureComponents, d = input.StepWidth;
        GaussianLimits limits = input.Limits(options);
        double[] weights = new double[k * m], means = new double[k * m * d], covariances = new double[k * m * limits.Square];
        Array.Fill(weights, 1.0 / m);
        for (int c = 0; c < k * m; c++)
        {
            for (int j = 0; j < d; j++)
            {
                // Where no row is assigned to a component: that of a row by chance, and the deviation of all.
                if (rows.Count > 0 && j == 0)
                {
                    (int s, int t) = rows[random.Next(rows.Count)];
                    for (int i = 0; i < d; i++)
                        means[c * d + i] = sample[s][t * d + i];
                }
                covariances[c * limits.Square + (limits.HasMatrices ? j * d + j : j)] = scale[j] * scale[j];
            }
        }
        var emissions = new GaussianEmissions(k, weights, means, covariances, limits);
        double[] sums = new double[emissions.SumsLength];
        for (int state = 0; state < k; state++)
        {
            List<(int Sequence, int Step)> own = [.. rows.Where((_, r) => states[r] == state)];
            int[] component = m == 1 ? new int[own.Count] : Cluster(sample, own, scale, m, ref random);
            for (int r = 0; r < own.Count; r++)
                emissions.AddTo(state * m + component[r], sample[own[r].Sequence].AsSpan(own[r].Step * d, d), 1, sums);
        }
        return emissions.Maximize(sums);
    }

    // k-means++ (Arthur 2007) of scaled steps, and a few rounds of k-means.
    private static int[] Cluster(
        float[][] sample, List<(int Sequence, int Step)> rows, double[] scale, int clusters, ref SplitMix64 random)
    {
        const int rounds = 10;
        int d = scale.Length, n = rows.Count;
        int[] nearest = new int[n];
        if (n == 0)
            return nearest;
        double[] points = new double[n * d], centres = new double[clusters * d], distances = new double[n];
        for (int r = 0; r < n; r++)
        {
            for (int j = 0; j < d; j++)
                points[r * d + j] = sample[rows[r].Sequence][rows[r].Step * d + j] / scale[j];
        }
        Array.Fill(distances, 1); // the first is drawn from all alike
        for (int c = 0; c < clusters; c++)
        {
            int chosen = distances.Max() > 0 ? random.Choose(distances) : random.Next(n);
            points.AsSpan(chosen * d, d).CopyTo(centres.AsSpan(c * d, d));
            for (int r = 0; r < n; r++)
            {
                double own = Distance(r, c);
                if (c > 0 && own >= distances[r])
                    continue;
                (distances[r], nearest[r]) = (own, c);
            }
        }
        for (int round = 0; round < rounds; round++)
        {
            double[] sums = new double[clusters * d];
            int[] counts = new int[clusters];
            for (int r = 0; r < n; r++)
            {
                counts[nearest[r]]++;
                Span<double> sum = sums.AsSpan(nearest[r] * d, d);
                TensorPrimitives.Add(sum, points.AsSpan(r * d, d), sum);
            }
            for (int c = 0; c < clusters; c++)
            {
                if (counts[c] > 0)
                    TensorPrimitives.Divide(sums.AsSpan(c * d, d), counts[c], centres.AsSpan(c * d, d));
            }
            for (int r = 0; r < n; r++)
            {
                for (int c = 0; c < clusters; c++)
                {
                    if (Distance(r, c) < Distance(r, nearest[r]))
                        nearest[r] = c;
                }
            }
        }
        return nearest;

        double Distance(int row, int centre)
        {
            double sum = 0;
            for (int j = 0; j < d; j++)
            {
                double away = points[row * d + j] - centres[centre * d + j];
                sum += away * away;
            }
            return sum;
        }
    }
}

/// <summary>Reports iterations as other trainers report epochs.</summary>
internal sealed class HiddenMarkovProgress(TrainingContext context, int iterations, long steps)
{
    private readonly System.Diagnostics.Stopwatch _watch = System.Diagnostics.Stopwatch.StartNew();
    private TimeSpan _last = TimeSpan.Zero;
    private int _reported;

    public void Report(int iteration, double loss, bool last)
    {
        TimeSpan elapsed = _watch.Elapsed;
        if (context.Progress is null || !last && elapsed - _last < context.ReportInterval)
            return;
        context.Progress.Report(new TrainingProgress
        {
            Step = iteration,
            Steps = iterations,
            Epoch = iteration,
            Epochs = iterations,
            Losses = new Dictionary<string, double> { ["loss"] = loss },
            Validation = new Dictionary<string, double>(),
            LearningRate = 0,
            RowsPerSecond = steps * (iteration - _reported) / Math.Max(1e-6, (elapsed - _last).TotalSeconds),
            Elapsed = elapsed,
            Remaining = last ? TimeSpan.Zero : elapsed / iteration * (iterations - iteration),
            DataWait = TimeSpan.Zero,
            IsLast = last,
        });
        (_last, _reported) = (elapsed, iteration);
    }
}
