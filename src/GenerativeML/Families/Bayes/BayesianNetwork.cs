namespace GenerativeML;

/// <summary>An arrow of a Bayesian network: the child's probabilities depend on the parent.</summary>
/// <param name="Parent">The column that the arrow comes from.</param>
/// <param name="Child">The column that it points to.</param>
public sealed record NetworkEdge(string Parent, string Child)
{
    /// <summary><c>Parent → Child</c>.</summary>
    public override string ToString() => $"{Parent} → {Child}";
}

/// <summary>
/// A Bayesian network of variables with a few states each: what depends on what, and how likely each state is given
/// those of its parents. It answers questions exactly, draws rows, and is read from and written to BIF files, the
/// exchange format of such networks.
/// </summary>
/// <remarks>
/// Immutable, and safe to use from several threads. Questions are answered by variable elimination (Dechter 1999), which
/// takes memory that grows exponentially with how densely a network is woven: how much is known before, and more than
/// half of what this process may use is refused.
/// </remarks>
public sealed class BayesianNetwork
{
    private const double MaxRounding = 1e-6;

    private readonly string[][] _states;

    /// <summary>A network of names, states, parents by number, and tables; checks that it is one.</summary>
    /// <exception cref="ArgumentException">It goes round in a circle, or a table is none.</exception>
    internal BayesianNetwork(
        IReadOnlyList<string> names, IReadOnlyList<IReadOnlyList<string>> states, int[][] parents, double[][] tables)
    {
        Names = names;
        _states = [.. states.Select(s => s.ToArray())];
        Sizes = [.. _states.Select(s => s.Length)];
        (Parents, Tables) = (parents, tables);
        Order = OrderOf(parents, names);
        for (int v = 0; v < Count; v++)
        {
            if (parents[v].Distinct().Count() < parents[v].Length)
                throw new ArgumentException($"Variable '{names[v]}' has the same parent twice.");
            bool sound = Sizes[v] > 0 && tables[v].Length == CellsOf(Sizes, v, parents[v]);
            for (int start = 0; sound && start < tables[v].Length; start += Sizes[v])
            {
                double sum = 0;
                foreach (double p in tables[v].AsSpan(start, Sizes[v]))
                    sum += p >= 0 ? p : double.NaN;
                sound = Math.Abs(sum - 1) < MaxRounding;
            }
            if (!sound)
                throw new ArgumentException($"The probabilities of variable '{names[v]}' do not fit its states and parents, or do not sum to one.");
        }
    }

    /// <summary>The variables, in order.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>All arrows, child by child.</summary>
    public IReadOnlyList<NetworkEdge> Edges =>
        [.. Enumerable.Range(0, Count).SelectMany(v => Parents[v].Select(p => new NetworkEdge(Names[p], Names[v])))];

    /// <summary>The number of probabilities that are free: each distribution of r states has r − 1.</summary>
    public long FreeParameters => Enumerable.Range(0, Count).Sum(v => (long)Tables[v].Length / Sizes[v] * (Sizes[v] - 1));

    /// <summary>The number of variables.</summary>
    internal int Count => Names.Count;

    /// <summary>How many states each has.</summary>
    internal int[] Sizes { get; }

    internal int[][] Parents { get; }

    /// <summary>P(state | parents) of each variable: the last parent's states change faster than the others', its own fastest.</summary>
    internal double[][] Tables { get; }

    /// <summary>All variables, each after its parents.</summary>
    internal IReadOnlyList<int> Order { get; }

    internal IReadOnlyList<IReadOnlyList<string>> States => _states;

    /// <summary>How much memory a question may take.</summary>
    internal static long MemoryLimit => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2;

    /// <summary>The states of a variable.</summary>
    /// <param name="variable">Its name.</param>
    /// <exception cref="ArgumentException">There is no such variable.</exception>
    public IReadOnlyList<string> StatesOf(string variable) => _states[Find(variable)];

    /// <summary>The probability of each state of a variable, given a state each of some others.</summary>
    /// <param name="variable">The variable.</param>
    /// <param name="evidence">What is known: variable and state. Default: nothing.</param>
    /// <exception cref="ArgumentException">There is no such variable or state, or what is known is impossible.</exception>
    /// <exception cref="InvalidOperationException">The answer would take more memory than there is.</exception>
    public IReadOnlyDictionary<string, double> Query(string variable, IReadOnlyDictionary<string, string>? evidence = null)
    {
        int v = Find(variable);
        double[] marginal = Marginals(Weights(evidence), [v])[0];
        return new OrderedDictionary<string, double>(_states[v].Zip(marginal, KeyValuePair.Create));
    }

    /// <summary>The states of all variables that are most probable together, given a state each of some.</summary>
    /// <inheritdoc cref="Query" path="/param"/>
    /// <inheritdoc cref="Query" path="/exception"/>
    public IReadOnlyDictionary<string, string> MostProbable(IReadOnlyDictionary<string, string>? evidence = null)
    {
        int[] states = MostProbable(Weights(evidence));
        return new OrderedDictionary<string, string>(
            states.Select((state, v) => KeyValuePair.Create(Names[v], _states[v][state])));
    }

    /// <summary>The logarithm of the probability that some variables have these states; minus infinity if they cannot.</summary>
    /// <param name="evidence">Variable and state, of some or all.</param>
    /// <exception cref="ArgumentException">There is no such variable or state.</exception>
    /// <exception cref="InvalidOperationException">The answer would take more memory than there is.</exception>
    public double LogProbability(IReadOnlyDictionary<string, string> evidence)
    {
        ArgumentNullException.ThrowIfNull(evidence);
        return LogProbability(Weights(evidence));
    }

    /// <summary>The entropy of a row, in nats: what −log p is in the mean.</summary>
    /// <exception cref="InvalidOperationException">The answer would take more memory than there is.</exception>
    public double Entropy()
    {
        bool[] all = new bool[Count];
        Array.Fill(all, true);
        var tree = new CliqueTree(this, all, new double[]?[Count], MemoryLimit);
        tree.Collect();
        tree.Distribute();
        double entropy = 0;
        for (int v = 0; v < Count; v++)
        {
            double[] joint = new double[Tables[v].Length];
            tree.AddFamily(v, joint, 1);
            for (int i = 0; i < joint.Length; i++)
                entropy -= joint[i] > 0 ? joint[i] * Math.Log(Tables[v][i]) : 0;
        }
        return entropy;
    }

    /// <summary>Draws rows: a state of each variable, in the order of <see cref="Names"/>.</summary>
    /// <param name="rows">How many.</param>
    /// <param name="seed">Other seeds give other rows.</param>
    /// <param name="evidence">States that all rows have: variable and state. Default: none.</param>
    /// <inheritdoc cref="Query" path="/exception"/>
    /// <exception cref="ArgumentOutOfRangeException">The number of rows is negative.</exception>
    public IReadOnlyList<IReadOnlyList<string>> Sample(
        int rows, int seed = 0, IReadOnlyDictionary<string, string>? evidence = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        var drawn = new string[rows][];
        var sampler = new NetworkSampler(this, Weights(evidence));
        int[] states = new int[Count];
        for (int row = 0; row < rows; row++)
        {
            var random = new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Generation, row));
            sampler.Draw(states, ref random);
            drawn[row] = [.. states.Select((state, v) => _states[v][state])];
        }
        return drawn;
    }

    /// <summary>Reads a BIF file.</summary>
    /// <param name="path">The file; a text, UTF-8.</param>
    /// <exception cref="FormatException">It is no BIF file, or describes no network; the message says where.</exception>
    public static BayesianNetwork ReadBif(string path) => BifFormat.Parse(File.ReadAllText(path));

    /// <summary>Writes a BIF file. Characters of names that the format has no place for become <c>_</c>.</summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    public void WriteBif(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        string text = BifFormat.Text(this);
        AtomicFile.Write(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));
    }

    /// <summary>A drawing of the variables and arrows as SVG, parents above their children.</summary>
    public string ToSvg() => NetworkDrawing.Svg(this);

    /// <summary>A variable and its parents, itself last: what its table is about.</summary>
    internal int[] Family(int variable) => [.. Parents[variable], variable];

    /// <summary>The place in a variable's table of the states of its parents and its own.</summary>
    internal int IndexOf(int variable, ReadOnlySpan<int> family)
    {
        int index = 0;
        for (int i = 0; i < Parents[variable].Length; i++)
            index = index * Sizes[Parents[variable][i]] + family[i];
        return index * Sizes[variable] + family[^1];
    }

    /// <summary>The probabilities of a variable's states by the states of a row.</summary>
    internal ReadOnlySpan<double> Given(int variable, ReadOnlySpan<int> row)
    {
        int index = 0;
        foreach (int parent in Parents[variable])
            index = index * Sizes[parent] + row[parent];
        return Tables[variable].AsSpan(index * Sizes[variable], Sizes[variable]);
    }

    /// <summary>How many cells a table has; not exact where they are more than can be.</summary>
    internal static double CellsOf(IReadOnlyList<int> sizes, int variable, IEnumerable<int> parents) =>
        parents.Aggregate((double)sizes[variable], (cells, parent) => cells * sizes[parent]);

    /// <summary>The probabilities of the states of some variables, each given weighted evidence on all.</summary>
    /// <exception cref="ArgumentException">The evidence is impossible.</exception>
    internal double[][] Marginals(double[]?[] weights, params int[] variables)
    {
        bool[] active = CliqueTree.Ancestors(this, v => weights[v] is not null || variables.Contains(v));
        var tree = new CliqueTree(this, active, weights, MemoryLimit);
        if (!tree.Collect())
            throw Impossible();
        tree.Distribute();
        return [.. variables.Select(tree.Marginal)];
    }

    /// <summary>The logarithm of the probability of weighted evidence.</summary>
    internal double LogProbability(double[]?[] weights)
    {
        var tree = new CliqueTree(this, CliqueTree.Ancestors(this, v => weights[v] is not null), weights, MemoryLimit);
        return tree.Collect() ? tree.LogEvidence : double.NegativeInfinity;
    }

    /// <summary>The most probable states of all variables, given weighted evidence.</summary>
    /// <exception cref="ArgumentException">The evidence is impossible.</exception>
    internal int[] MostProbable(double[]?[] weights)
    {
        bool[] all = new bool[Count];
        Array.Fill(all, true);
        var tree = new CliqueTree(this, all, weights, MemoryLimit);
        if (!tree.Collect(max: true))
            throw Impossible();
        int[] states = new int[Count];
        tree.Maximize(states);
        return states;
    }

    /// <summary>The error of evidence that has no probability.</summary>
    internal static ArgumentException Impossible() =>
        new("What is given is impossible: the network gives it no probability.");

    /// <summary>Variables, each after its parents.</summary>
    /// <exception cref="ArgumentException">They go round in a circle, which the message names.</exception>
    internal static int[] OrderOf(IReadOnlyList<IReadOnlyList<int>> parents, IReadOnlyList<string> names)
    {
        var order = new List<int>();
        var state = new int[parents.Count]; // one while its parents are visited, two after
        var path = new List<int>();
        for (int v = 0; v < state.Length; v++)
            Visit(v);
        return [.. order];

        void Visit(int v)
        {
            if (state[v] == 1)
            {
                IEnumerable<string> circle = path.Skip(path.IndexOf(v)).Append(v).Reverse().Select(u => names[u]);
                throw new ArgumentException($"The edges go round in a circle: {string.Join(" → ", circle)}.");
            }
            if (state[v] == 2)
                return;
            state[v] = 1;
            path.Add(v);
            foreach (int parent in parents[v])
                Visit(parent);
            path.RemoveAt(path.Count - 1);
            state[v] = 2;
            order.Add(v);
        }
    }

    private int Find(string variable)
    {
        ArgumentNullException.ThrowIfNull(variable);
        for (int v = 0; v < Count; v++)
        {
            if (Names[v] == variable)
                return v;
        }
        throw new ArgumentException($"There is no variable '{variable}'. There are '{string.Join("', '", Names.Take(20))}'.");
    }

    private double[]?[] Weights(IReadOnlyDictionary<string, string>? evidence)
    {
        double[]?[] weights = new double[]?[Count];
        foreach ((string variable, string state) in evidence ?? new Dictionary<string, string>())
        {
            int v = Find(variable), s = Array.IndexOf(_states[v], state);
            if (s < 0)
                throw new ArgumentException($"Variable '{variable}' has no state '{state}'. It has '{string.Join("', '", _states[v].Take(20))}'.");
            weights[v] = new double[Sizes[v]];
            weights[v]![s] = 1;
        }
        return weights;
    }
}

/// <summary>Draws rows of a network, given weighted evidence. Safe to use from several threads.</summary>
internal sealed class NetworkSampler
{
    private readonly BayesianNetwork _network;
    private readonly CliqueTree? _tree; // of what evidence depends on
    private readonly int[] _rest; // the other variables, parents first

    /// <exception cref="ArgumentException">The evidence is impossible.</exception>
    /// <exception cref="InvalidOperationException">It would take more memory than there is.</exception>
    public NetworkSampler(BayesianNetwork network, double[]?[] weights)
    {
        _network = network;
        bool[] active = CliqueTree.Ancestors(network, v => weights[v] is not null);
        if (active.Contains(true))
        {
            _tree = new CliqueTree(network, active, weights, BayesianNetwork.MemoryLimit);
            if (!_tree.Collect())
                throw BayesianNetwork.Impossible();
        }
        _rest = [.. network.Order.Where(v => !active[v])];
    }

    /// <summary>Draws a row: the state of each variable.</summary>
    public void Draw(Span<int> states, ref SplitMix64 random)
    {
        _tree?.Draw(states, ref random);
        foreach (int v in _rest)
            states[v] = random.Choose(_network.Given(v, states));
    }
}
