using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>A Bayesian network whose states are the tokens of a table's columns: draws rows, and scores them.</summary>
internal sealed class BayesianTable(
    TokenTable tokens, BayesianNetworkOptions options, BayesianNetwork network, long trainingRows) : ITableGenerator
{
    /// <summary>The state of a missing value, where missing is no state.</summary>
    public const int Hidden = -1;

    /// <summary>The state of a category that was never seen.</summary>
    public const int Unseen = -2;

    private const string TokensName = "tokens", StructureName = "structure", TablesName = "tables";

    // What evidence depends on is computed once for a condition, which has many blocks of rows.
    private readonly ConditionalWeakTable<TableCondition, Prepared> _prepared = [];
    private readonly Lazy<NetworkSampler> _free = new(() => new(network, new double[]?[network.Count]));

    public TableShape Shape => tokens.Shape;

    public TabularOptions Options => options;

    public TokenTable Tokens => tokens;

    public BayesianNetwork Network => network;

    public (OnnxPass Pass, TokenTable Tokens)? PassOf(OnnxContent content) =>
        content == OnnxContent.Score
        ? (BayesianScore.Of(
            network, [.. Enumerable.Range(0, network.Count).Select(p => BayesianTableFit.HiddenState(tokens, options, p))], trainingRows), tokens)
        : null;

    /// <summary>What ordinary rows score that are new to the model.</summary>
    public CalibrationScores? Calibration { get; init; }

    public void Fill(TableBlock block, int count, ulong seed, long first, TableCondition? where)
    {
        Prepared prepared = where is null ? new(_free.Value, tokens.Columns) : _prepared.GetValue(where, Prepare);
        int[] states = new int[network.Count];
        for (int row = 0; row < count; row++)
        {
            var random = new SplitMix64(new SplitMix64(seed + (ulong)(first + row)).Next());
            prepared.Sampler.Draw(states, ref random);
            for (int p = 0; p < states.Length; p++)
                block[tokens.Order[p]][row] = prepared.Columns[p].Draw(states[p], 0, ref random);
        }
    }

    /// <summary>The weight of each state under a condition; null where a column has none.</summary>
    public (double[]?[] Weights, TokenColumn[] Columns) Evidence(TableCondition? where)
    {
        TokenColumn[] columns =
        [
            .. tokens.Columns.Zip(tokens.Order, (column, number) =>
                column.Limited(where?.Limits.FirstOrDefault(limit => limit.Column == number))),
        ];
        return ([.. columns.Select(c => c.Allowed?.Select(share => (double)share).ToArray())], columns);
    }

    /// <summary>The states of a row of a block, of which values may be new.</summary>
    public void Read(TableBlock block, int row, Span<int> states)
    {
        for (int p = 0; p < states.Length; p++)
            states[p] = BayesianTableFit.StateOf(tokens, options, p, block[tokens.Order[p]][row]);
    }

    /// <summary>
    /// −log p of a row, shared out: each column's part is −log of its probability given all columns before it, which are
    /// its parents where these are known; what is not known is summed over. A category that was never seen counts as one
    /// row beside all training rows.
    /// </summary>
    public double Score(ReadOnlySpan<int> states, Span<double> shares)
    {
        double sum = 0, before = 0;
        var known = new double[]?[states.Length];
        bool isPlain = states.IndexOfAnyExceptInRange(0, int.MaxValue) < 0;
        double? exact = 0; // log p of the columns so far; null: not computed
        foreach (int v in network.Order)
        {
            double share = 0;
            if (states[v] == Unseen)
            {
                share = Math.Log(trainingRows + 1.0);
            }
            else if (states[v] >= 0)
            {
                bool hasParents = isPlain;
                if (!isPlain)
                {
                    hasParents = true;
                    foreach (int parent in network.Parents[v])
                        hasParents &= states[parent] >= 0;
                    known[v] = new double[network.Sizes[v]];
                }
                if (hasParents)
                {
                    share = -Math.Log(network.Given(v, states)[states[v]]);
                    if (!isPlain)
                        known[v]![states[v]] = 1;
                    exact -= share;
                }
                else
                {
                    double[] own = known[v]!;
                    known[v] = null;
                    before = exact ?? network.LogProbability(known);
                    own[states[v]] = 1;
                    known[v] = own;
                    exact = double.IsNegativeInfinity(before) ? before : network.LogProbability(known);
                    share = double.IsNegativeInfinity(before) ? 0 : Math.Max(0, before - exact.Value);
                }
            }
            shares[v] = share;
            sum += share;
        }
        return sum;
    }

    public void Save(Stream stream)
    {
        double[][] parts =
        [
            tokens.Save(),
            [trainingRows, .. network.Parents.SelectMany(p => p.Select(parent => (double)parent).Prepend(p.Length))],
            [.. network.Tables.SelectMany(t => t)],
        ];
        TensorSpec[] specs = [.. SpecsOf(parts.Select(part => (long)part.Length))];
        SafetensorsWriter.Write(
            stream, specs, (spec, write) => write(MemoryMarshal.AsBytes<double>(parts[Array.IndexOf(specs, spec)])));
    }

    /// <summary>Reads what <see cref="Save"/> wrote, for columns and options that were checked.</summary>
    /// <exception cref="FormatException">The file does not hold exactly that.</exception>
    public static BayesianTable Load(TableShape shape, BayesianNetworkOptions options, Stream stream)
    {
        SafetensorsReader reader = SafetensorsReader.Open(stream);
        reader.Require([.. SpecsOf(new[] { TokensName, StructureName, TablesName }.Select(name =>
            reader.ByName.GetValueOrDefault(name) is { Spec.Type: TensorType.F64 } entry
                ? entry.Spec.Length / sizeof(double)
                : throw TokenReader.Unsound()))]);
        TokenTable tokens = TokenTable.Load(shape, Read(TokensName), modes: false);
        var structure = new TokenReader(Read(StructureName));
        long rows = (long)structure.Next(n => n is >= 0 and < 1L << 53 && n % 1 == 0);
        int[][] parents = new int[shape.Columns.Count][];
        foreach (ref int[] own in parents.AsSpan())
        {
            own = new int[structure.NextCount(parents.Length)];
            foreach (ref int parent in own.AsSpan())
                parent = (int)structure.Next(p => p >= 0 && p < shape.Columns.Count && p % 1 == 0);
        }
        double[] all = Read(TablesName);
        int at = 0;
        double[][] tables = new double[parents.Length][];
        for (int v = 0; v < tables.Length; v++)
        {
            double cells = BayesianNetwork.CellsOf(tokens.Counts, v, parents[v]);
            if (cells > all.Length - at)
                throw TokenReader.Unsound();
            tables[v] = all[at..(at += (int)cells)];
        }
        if (at < all.Length || !structure.IsAtEnd)
            throw TokenReader.Unsound();
        try
        {
            return new(tokens, options, NetworkOf(tokens, parents, tables), rows);
        }
        catch (ArgumentException wrong)
        {
            throw new FormatException($"The saved Bayesian network is none. {wrong.Message}");
        }

        double[] Read(string name)
        {
            TensorEntry entry = reader.ByName[name];
            double[] values = new double[entry.Spec.Length / sizeof(double)];
            reader.Read(entry, 0, MemoryMarshal.AsBytes(values.AsSpan()));
            return values;
        }
    }

    /// <summary>A network whose states have numbers for names.</summary>
    public static BayesianNetwork NetworkOf(TokenTable tokens, int[][] parents, double[][] tables) => new(
        [.. tokens.Order.Select(c => tokens.Shape.Columns[c].Name)],
        [.. tokens.Counts.Select(n => Enumerable.Range(0, n).Select(i => i.ToString(System.Globalization.CultureInfo.InvariantCulture)).ToArray())],
        parents, tables);

    public void Dispose()
    {
    }

    private static IEnumerable<TensorSpec> SpecsOf(IEnumerable<long> lengths) =>
        new[] { TokensName, StructureName, TablesName }.Zip(lengths, (name, n) => new TensorSpec(name, TensorType.F64, n));

    private Prepared Prepare(TableCondition where)
    {
        (double[]?[] weights, TokenColumn[] columns) = Evidence(where);
        try
        {
            return new(new NetworkSampler(network, weights), columns);
        }
        catch (ArgumentException impossible)
        {
            throw new InvalidOperationException(
                $"No row meets the condition: its parts were seen, but not together. {impossible.Message}");
        }
    }

    private sealed record Prepared(NetworkSampler Sampler, IReadOnlyList<TokenColumn> Columns);
}

/// <summary>
/// −log p of rows in single precision, for ONNX files: the states of all variables, (B, V) → their sum, (B, 1), and the shares,
/// (B, V), each given its parents: those of <see cref="BayesianTable.Score"/>, or NaN where a parent is not known, over which it
/// would have to sum. NaN, and −1, stands for a state that is not known, −2 for a category that was never seen.
/// </summary>
internal sealed class BayesianScore(BayesianNetwork network, int?[] hidden, long trainingRows) : IForwardPass
{
    // Whole numbers of single precision.
    private const int MostCells = 1 << 24;

    /// <summary>The pass of a network; of each variable the state, if any, that says that its value is not known.</summary>
    /// <exception cref="NotSupportedException">It has too large a table.</exception>
    public static OnnxPass Of(BayesianNetwork network, int?[] hidden, long trainingRows)
    {
        if (network.Tables.FirstOrDefault(table => table.Length > MostCells) is { } large)
        {
            throw new NotSupportedException(
                $"A table of the network has {large.Length} probabilities, and an ONNX graph counts them in single precision, up "
                + $"to {MostCells}.");
        }
        return new(
            HostWeights.Of(network.Tables.Select((table, v) => (
                new TensorSpec($"table.{v}", TensorType.F32, table.Length, 1), Array.ConvertAll(table, p => (float)-Math.Log(p))))),
            new BayesianScore(network, hidden, trainingRows), [("states", network.Count)], ["score", "shares"]);
    }

    public T[] Run<T>(Scope<T> w, T[] inputs)
        where T : struct, ITensor<T>
    {
        T zero = w.Constant(0), one = w.Constant(1), half = w.Constant(0.5f), nan = w.Constant(float.NaN);
        T unseen = w.Constant((float)Math.Log(trainingRows + 1.0));
        T[] said = [.. hidden.Select((state, v) =>
        {
            T own = inputs[0].Slice(1, v, 1);
            return state is int none ? T.IfLess((own - none).Apply(Function.Abs), half, w.Constant(-1), own) : own;
        })];
        // One for a number of a state; NaN is less than nothing.
        T[] known = [.. said.Zip(network.Sizes, (own, size) =>
            T.IfLess(w.Constant(-0.5f), own, T.IfLess(own, w.Constant(size - 0.5f), one, zero), zero))];
        T[] states = [.. said.Zip(known, (own, isKnown) => T.IfLess(half, isKnown, own, zero))];
        T[] shares = [.. states.Select((_, v) =>
        {
            T place = network.Parents[v].Append(v).Select(other => (State: states[other], Size: network.Sizes[other]))
                .Aggregate((sum, next) => (sum.State * next.Size + next.State, next.Size)).State;
            T areKnown = network.Parents[v].Append(v).Select(other => known[other]).Aggregate((all, next) => all * next);
            T share = T.IfLess(half, areKnown, w[$"table.{v}"].Embed(place.ToIndices().Squeeze(1)), nan);
            return T.IfLess(w.Constant(-0.5f), said[v], share, T.IfLess(said[v], w.Constant(-1.5f), unseen, zero));
        })];
        T all = T.Concat(1, shares);
        return [all.Reduce(Reduction.Sum, 1), all];
    }
}

/// <summary>Learns a Bayesian network of a table: states, structure, probabilities, and what fresh rows score.</summary>
internal static class BayesianTableFit
{
    private const int ReadRows = 1024;
    private const int FewRows = 2000, MaxFolds = 4, MaxHeldBack = 4000;
    private const double HeldBackShare = 0.2;

    /// <summary>Learns from a table.</summary>
    public static BayesianTable Run(ITableSource source, BayesianNetworkOptions options, TrainingContext context)
    {
        options = (BayesianNetworkOptions)options.Resolve(source.RowCount, source.Shape.Columns.Count).Options;
        TokenTable tokens = TokenTable.Learn(source, false, context.Seed, options.CancellationToken, options.BinsOf);
        StateTable table = Read(source, tokens, options);
        var fit = new NetworkFitting(tokens, options, context);
        (CalibrationScores? scores, int[] training) = options.Calibrates ? Calibrate(table, tokens, options, context) : (null, []);
        BayesianNetwork network = fit.Learn(training.Length > 0 ? table.Take(training) : table, context.Progress);
        return new(tokens, options, network, table.Rows) { Calibration = scores };
    }

    /// <summary>The state of a value of a position, or what stands for one that is none.</summary>
    public static int StateOf(TokenTable tokens, BayesianNetworkOptions options, int position, double value)
    {
        TableColumn column = tokens.Shape.Columns[tokens.Order[position]];
        bool isCategory = column.Kind == TableColumnKind.Categorical;
        bool isMissing = double.IsNaN(value) || isCategory && value == column.MissingCode;
        bool isHidden = isMissing && (Hides(tokens, options, position) || !(isCategory ? value >= 0 : column.HasMissing));
        return isHidden ? BayesianTable.Hidden
            : isCategory && value < 0 ? BayesianTable.Unseen
            : tokens.Columns[position].Encode(value, 0);
    }

    /// <summary>The state that stands for a missing value though none is to have it; null for none.</summary>
    public static int? HiddenState(TokenTable tokens, BayesianNetworkOptions options, int position)
    {
        TableColumn column = tokens.Shape.Columns[tokens.Order[position]];
        return !Hides(tokens, options, position) ? null
            : column.Kind != TableColumnKind.Categorical ? tokens.Counts[position] - 1
            : column.MissingCode is int code && tokens.Columns[position].Encode(code, 0) is int token
                && ((CategoryTokens)tokens.Columns[position]).CodesOf(token).Count() == 1 ? token
            : null;
    }

    private static bool Hides(TokenTable tokens, BayesianNetworkOptions options, int position)
    {
        TableColumn column = tokens.Shape.Columns[tokens.Order[position]];
        return options.EstimateMissing && tokens.Counts[position] > 1 && (column.MissingCode is not null || column.HasMissing);
    }

    // As many rows as the budget holds, evenly over all.
    private static StateTable Read(ITableSource source, TokenTable tokens, BayesianNetworkOptions options)
    {
        int n = tokens.Columns.Count;
        long most = Math.Min(Array.MaxLength, options.CacheBudgetBytes / (sizeof(ushort) * n));
        int rows = (int)Math.Min(source.RowCount, Math.Max(most, 2));
        ushort[][] columns = [.. Enumerable.Range(0, n).Select(_ => new ushort[rows])];
        var block = new TableBlock(source.Shape, ReadRows);
        using ITableReader reader = source.Open();
        int kept = 0;
        for (long seen = 0, count; (count = reader.Read(block, ReadRows)) > 0;)
        {
            options.CancellationToken.ThrowIfCancellationRequested();
            for (int row = 0; row < count && kept < rows; row++, seen++)
            {
                if (seen < kept * (double)source.RowCount / rows)
                    continue;
                for (int p = 0; p < n; p++)
                {
                    int state = StateOf(tokens, options, p, block[tokens.Order[p]][row]);
                    columns[p][kept] = state < 0 ? StateTable.Missing : (ushort)state;
                }
                kept++;
            }
        }
        return new([.. tokens.Order.Select(c => source.Shape.Columns[c].Name)], [.. tokens.Counts], columns, kept);
    }

    // As for detectors of vectors: of many rows some are held back for good, few are scored by models of the others.
    private static (CalibrationScores? Scores, int[] Training) Calibrate(
        StateTable table, TokenTable tokens, BayesianNetworkOptions options, TrainingContext context)
    {
        int[] order = [.. Enumerable.Range(0, table.Rows)];
        new SplitMix64(SplitMix64.Derive(context.Seed, RandomPurpose.Calibration)).Shuffle(order.AsSpan());
        if (table.Rows < CalibrationPlan.MinRows)
            throw CalibrationPlan.TooFew(table.Rows);
        var fit = new NetworkFitting(tokens, options, context);
        if (table.Rows >= FewRows)
        {
            int held = (int)Math.Min(MaxHeldBack, HeldBackShare * table.Rows);
            int[] training = [.. order[held..].Order()];
            return (new(Scores(training, order[..held])), training);
        }
        return (new(Enumerable.Range(0, MaxFolds).SelectMany(fold => Scores(
            [.. order.Where((_, i) => i % MaxFolds != fold).Order()], [.. order.Where((_, i) => i % MaxFolds == fold)]))), []);

        IEnumerable<float> Scores(int[] training, int[] rows)
        {
            var model = new BayesianTable(tokens, options, fit.Learn(table.Take(training), null), training.Length);
            int[] states = new int[table.Sizes.Length];
            double[] shares = new double[states.Length];
            foreach (int row in rows)
            {
                table.Read(row, states);
                for (int v = 0; v < states.Length; v++)
                    states[v] = states[v] == StateTable.Missing ? BayesianTable.Hidden : states[v];
                yield return (float)model.Score(states, shares);
            }
        }
    }
}

/// <summary>Learns a network's structure and probabilities by rows of states, of which some may not be known.</summary>
internal sealed class NetworkFitting(TokenTable tokens, BayesianNetworkOptions options, TrainingContext context)
{
    private const int Imputations = 2; // of what is missing, each followed by another search for edges

    /// <summary>Learns; reports what it learned.</summary>
    public BayesianNetwork Learn(StateTable table, IProgress<TrainingProgress>? progress)
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        BayesianNetwork network;
        double logLikelihood;
        int iterations = 1;
        if (!table.HasMissing)
        {
            int[][] parents = StructureSearch.Find(table, options, tokens.Shape.Label is null ? null : table.Sizes.Length - 1, options.CancellationToken, context.Seed);
            var counts = new ExpectedCounts(table, parents);
            network = ToNetwork(parents, counts.Complete(), Means(table));
            logLikelihood = counts.LogLikelihood(network);
        }
        else
        {
            (network, logLikelihood, iterations) = LearnHidden(table);
        }
        progress?.Report(new TrainingProgress
        {
            Step = iterations, Steps = iterations, Epoch = iterations, Epochs = iterations,
            Losses = new Dictionary<string, double> { ["loss"] = -logLikelihood / table.Rows },
            Validation = new Dictionary<string, double>(), LearningRate = 0, Elapsed = clock.Elapsed,
            RowsPerSecond = iterations * (double)table.Rows / Math.Max(clock.Elapsed.TotalSeconds, 1e-6),
            Remaining = TimeSpan.Zero, DataWait = TimeSpan.Zero, IsLast = true,
        });
        return network;
    }

    /// <summary>
    /// Fits probabilities to a structure by EM from a start: the log-likelihood before each iteration, penalised by the
    /// prior, never falls.
    /// </summary>
    public (BayesianNetwork Network, IReadOnlyList<double> LogLikelihoods) Maximize(
        StateTable table, BayesianNetwork start, int iterations)
    {
        var counts = new ExpectedCounts(table, start.Parents);
        double[][] means = Means(table), complete = counts.Complete();
        var found = new List<double>();
        for (int i = 0; i < iterations; i++)
        {
            if (options.CancellationToken.IsCancellationRequested)
            {
                if (options.CancellationBehavior == CancellationBehavior.ReturnModel)
                    break;
                options.CancellationToken.ThrowIfCancellationRequested();
            }
            (double[][] expected, double logLikelihood) = counts.Expect(start, complete);
            found.Add(logLikelihood + LogPrior(start, means));
            if (found.Count > 1 && found[^1] - found[^2] < options.Tolerance * table.Rows && options.Tolerance > 0)
                break;
            start = ToNetwork(start.Parents, expected, means);
        }
        return (start, found);
    }

    /// <summary>Probabilities by counts and a Dirichlet prior, whose mean is how often states occur in all.</summary>
    public BayesianNetwork ToNetwork(int[][] parents, double[][] counts, double[][] means)
    {
        double[][] tables = [.. counts.Select((own, v) =>
        {
            int r = means[v].Length;
            double[] table = new double[own.Length];
            for (int start = 0; start < own.Length; start += r)
            {
                double sum = 0;
                for (int s = 0; s < r; s++)
                    sum += own[start + s];
                bool isKnown = sum + options.PriorRows > 0;
                for (int s = 0; s < r; s++)
                    table[start + s] = isKnown ? (own[start + s] + options.PriorRows * means[v][s]) / (sum + options.PriorRows) : means[v][s];
            }
            return table;
        })];
        return BayesianTable.NetworkOf(tokens, parents, tables);
    }

    /// <summary>How often each state occurs, as if all had been seen half a time more; what is to be hidden never.</summary>
    public double[][] Means(StateTable table) => [.. table.Columns.Select((column, v) =>
    {
        double[] mean = new double[table.Sizes[v]];
        Array.Fill(mean, 0.5);
        if (BayesianTableFit.HiddenState(tokens, options, v) is int hidden)
            mean[hidden] = 0;
        foreach (ushort state in column.AsSpan(0, table.Rows))
        {
            if (state != StateTable.Missing)
                mean[state]++;
        }
        double sum = mean.Sum();
        return Array.ConvertAll(mean, m => m / sum);
    })];

    private double LogPrior(BayesianNetwork network, double[][] means)
    {
        double sum = 0;
        for (int v = 0; v < network.Count && options.PriorRows > 0; v++)
        {
            for (int i = 0; i < network.Tables[v].Length; i++)
            {
                double rows = options.PriorRows * means[v][i % means[v].Length];
                sum += rows > 0 ? rows * Math.Log(network.Tables[v][i]) : 0;
            }
        }
        return sum;
    }

    // What is missing is drawn: at first each by its column alone, later by what the network says of the row. Edges are
    // searched for in rows that were completed so, probabilities fitted to the rows as they are.
    private (BayesianNetwork Network, double LogLikelihood, int Iterations) LearnHidden(StateTable table)
    {
        int n = table.Sizes.Length;
        int[][] parents = [.. Enumerable.Range(0, n).Select(_ => Array.Empty<int>())];
        BayesianNetwork network = ToNetwork(parents, new ExpectedCounts(table, parents).Complete(), Means(table));
        IReadOnlyList<double> found = [];
        int rounds = options.Structure == StructureSearchMethod.Given ? 1 : Imputations;
        for (int round = 0; round < rounds; round++)
        {
            StateTable complete = Complete(table, network, round);
            try
            {
                parents = StructureSearch.Find(complete, options, tokens.Shape.Label is null ? null : n - 1, options.CancellationToken, context.Seed);
            }
            catch (OperationCanceledException) when (round > 0 && options.CancellationBehavior == CancellationBehavior.ReturnModel)
            {
                break; // there is a network
            }
            network = ToNetwork(parents, new ExpectedCounts(complete, parents).Complete(), Means(table));
            (network, found) = Maximize(table, network, options.Epochs!.Value);
        }
        return (network, found.Count > 0 ? found[^1] - LogPrior(network, Means(table)) : 0, Math.Max(1, found.Count));
    }

    private StateTable Complete(StateTable table, BayesianNetwork network, int round)
    {
        ushort[][] columns = [.. table.Columns.Select(c => c.ToArray())];
        ulong seed = SplitMix64.Derive(context.Seed, RandomPurpose.Initialization, round);
        Parallel.For(0, table.Rows, row =>
        {
            var weights = ExpectedCounts.Evidence(table, row);
            if (!weights.Contains(null))
                return;
            var random = new SplitMix64(new SplitMix64(seed + (ulong)row).Next());
            int[] states = new int[columns.Length];
            new NetworkSampler(network, weights).Draw(states, ref random);
            for (int v = 0; v < states.Length; v++)
                columns[v][row] = (ushort)states[v];
        });
        return table with { Columns = columns };
    }
}

/// <summary>How often each combination of states of a column and its parents occurs, or is to be expected.</summary>
internal sealed class ExpectedCounts
{
    private const int Parts = 16; // added up in this order, whatever the number of threads

    private readonly StateTable _table;
    private readonly int[][] _parents;
    private readonly int[] _complete; // rows
    private readonly (int Row, int Count)[] _incomplete; // one of each that are alike

    public ExpectedCounts(StateTable table, int[][] parents)
    {
        (_table, _parents) = (table, parents);
        ILookup<bool, int> rows = Enumerable.Range(0, table.Rows).ToLookup(row => table.Columns.Any(c => c[row] == StateTable.Missing));
        _complete = [.. rows[false]];
        _incomplete =
        [
            .. rows[true].GroupBy(row => new string([.. table.Columns.Select(c => (char)c[row])]), StringComparer.Ordinal)
                .Select(alike => (alike.First(), alike.Count())),
        ];
    }

    /// <summary>A weight of one for each state that a row has; null where it is missing.</summary>
    public static double[]?[] Evidence(StateTable table, int row) => [.. table.Columns.Select((column, v) =>
    {
        if (column[row] == StateTable.Missing)
            return null;
        double[] weights = new double[table.Sizes[v]];
        weights[column[row]] = 1;
        return weights;
    })];

    /// <summary>Counts the rows in which nothing is missing.</summary>
    public double[][] Complete()
    {
        double[][] counts = Empty();
        Parallel.For(0, counts.Length, v =>
        {
            foreach (int row in _complete)
            {
                int index = 0;
                foreach (int parent in _parents[v])
                    index = index * _table.Sizes[parent] + _table.Columns[parent][row];
                counts[v][index * _table.Sizes[v] + _table.Columns[v][row]]++;
            }
        });
        return counts;
    }

    /// <summary>The log-likelihood of the complete rows.</summary>
    public double LogLikelihood(BayesianNetwork network) => Sum(network, Complete());

    /// <summary>Adds to complete rows what is to be expected of the others, and tells the log-likelihood of all.</summary>
    public (double[][] Counts, double LogLikelihood) Expect(BayesianNetwork network, double[][] complete)
    {
        double[][] counts = [.. complete.Select(c => c.ToArray())];
        var parts = new (double[][] Counts, double LogLikelihood)[Parts];
        bool[] all = new bool[counts.Length];
        Array.Fill(all, true);
        Parallel.For(0, Parts, part =>
        {
            double[][] own = Empty();
            double sum = 0;
            for (int i = part; i < _incomplete.Length; i += Parts)
            {
                (int row, int count) = _incomplete[i];
                var tree = new CliqueTree(network, all, Evidence(_table, row), BayesianNetwork.MemoryLimit / Parts);
                if (!tree.Collect())
                {
                    sum = double.NegativeInfinity;
                    continue;
                }
                sum += count * tree.LogEvidence;
                tree.Distribute();
                for (int v = 0; v < own.Length; v++)
                    tree.AddFamily(v, own[v], count);
            }
            parts[part] = (own, sum);
        });
        double logLikelihood = Sum(network, complete);
        foreach ((double[][] own, double sum) in parts)
        {
            logLikelihood += sum;
            for (int v = 0; v < counts.Length; v++)
            {
                for (int i = 0; i < counts[v].Length; i++)
                    counts[v][i] += own[v][i];
            }
        }
        return (counts, logLikelihood);
    }

    private static double Sum(BayesianNetwork network, double[][] counts)
    {
        double sum = 0;
        for (int v = 0; v < counts.Length; v++)
        {
            for (int i = 0; i < counts[v].Length; i++)
                sum += counts[v][i] > 0 ? counts[v][i] * Math.Log(network.Tables[v][i]) : 0;
        }
        return sum;
    }

    private double[][] Empty() =>
        [.. _parents.Select((p, v) => new double[(int)BayesianNetwork.CellsOf(_table.Sizes, v, p)])];
}
