namespace GenerativeML;

/// <summary>
/// Exact inference: some variables of a network are eliminated one by one (Dechter 1999), and what each elimination
/// multiplied is kept, so that rows can be drawn, the most probable one found, and marginals computed, from the last
/// variable back to the first.
/// </summary>
internal sealed class CliqueTree
{
    private const int None = -1;

    private readonly BayesianNetwork _network;
    private readonly double[]?[] _evidence;
    private readonly int[][] _allowed; // the states of each variable that evidence leaves; empty for those left out
    private readonly int[] _order; // the variables that have more than one, as they are eliminated
    private readonly int[][] _scopes; // of each of these cliques; its own variable comes last
    private readonly int[] _parent; // the clique that its message goes to
    private readonly int[] _home; // of each variable, the clique that its table went to
    private double[][] _tables = []; // of the cliques

    /// <summary>
    /// Plans the elimination of <paramref name="active"/> variables, which hold their own parents. Evidence is a weight
    /// for each state of a variable, null where nothing is known.
    /// </summary>
    /// <exception cref="InvalidOperationException">The tables would take more than so many bytes.</exception>
    public CliqueTree(BayesianNetwork network, bool[] active, double[]?[] evidence, long maxBytes)
    {
        (_network, _evidence) = (network, evidence);
        int n = network.Count;
        _allowed = new int[n][];
        for (int v = 0; v < n; v++)
        {
            double[]? weights = evidence[v];
            _allowed[v] = !active[v] ? [] : [.. Enumerable.Range(0, network.Sizes[v]).Where(s => weights is null || weights[s] > 0)];
            if (active[v] && _allowed[v].Length == 0)
                LogEvidence = double.NegativeInfinity;
        }
        var neighbours = new HashSet<int>?[n];
        for (int v = 0; v < n; v++)
            neighbours[v] = _allowed[v].Length > 1 ? [] : null;
        for (int v = 0; v < n; v++)
        {
            int[] scope = FamilyOf(v);
            foreach (int a in scope)
                neighbours[a]!.UnionWith(scope.Where(b => b != a));
        }
        (_order, _scopes) = Eliminate(neighbours, maxBytes);
        int[] place = new int[n];
        Array.Fill(place, None);
        for (int c = 0; c < _order.Length; c++)
            place[_order[c]] = c;
        _parent = [.. _scopes.Select(scope => scope.Length == 1 ? None : scope[..^1].Min(v => place[v]))];
        _home = [.. Enumerable.Range(0, n).Select(v => FamilyOf(v) is { Length: > 0 } scope ? scope.Min(u => place[u]) : None)];
    }

    /// <summary>The logarithm of the probability of the evidence, after <see cref="Collect"/>.</summary>
    public double LogEvidence { get; private set; }

    /// <summary>Multiplies and eliminates: sums out each variable, or takes the greatest product.</summary>
    /// <returns>Whether the evidence is possible.</returns>
    public bool Collect(bool max = false)
    {
        if (double.IsNegativeInfinity(LogEvidence))
            return false;
        LogEvidence = 0;
        var waiting = new List<(int[] Scope, double[] Values)>[_order.Length];
        for (int c = 0; c < waiting.Length; c++)
            waiting[c] = [];
        for (int v = 0; v < _network.Count; v++)
        {
            if (_allowed[v].Length == 0)
                continue;
            double[] factor = Reduced(v);
            if (_home[v] != None)
                waiting[_home[v]].Add((FamilyOf(v), factor));
            else
                LogEvidence += Math.Log(factor[0]);
        }
        _tables = new double[_order.Length][];
        for (int c = 0; c < _order.Length && !double.IsNegativeInfinity(LogEvidence); c++)
        {
            int[] scope = _scopes[c];
            double[] table = _tables[c] = new double[SizeOf(scope)];
            Array.Fill(table, 1);
            foreach ((int[] from, double[] values) in waiting[c])
                Walk(scope, from, table.Length, (cell, other) => table[cell] *= values[other]);
            waiting[c].Clear();
            int own = _allowed[_order[c]].Length;
            double[] message = new double[table.Length / own];
            for (int i = 0; i < message.Length; i++)
            {
                ReadOnlySpan<double> cells = table.AsSpan(i * own, own);
                double result = 0;
                foreach (double cell in cells)
                    result = max ? Math.Max(result, cell) : result + cell;
                message[i] = result;
            }
            // Scaled, so that products of many do not vanish.
            double greatest = message.Max();
            LogEvidence += Math.Log(greatest);
            if (_parent[c] == None || !(greatest > 0))
                continue;
            for (int i = 0; i < message.Length; i++)
                message[i] /= greatest;
            waiting[_parent[c]].Add((scope[..^1], message));
        }
        return !double.IsNegativeInfinity(LogEvidence);
    }

    /// <summary>Draws the states of all variables that are not left out, after <see cref="Collect"/>.</summary>
    public void Draw(Span<int> states, ref SplitMix64 random)
    {
        int[] at = new int[_network.Count];
        for (int c = _order.Length - 1; c >= 0; c--)
            at[_order[c]] = random.Choose(Cells(c, at));
        Name(at, states);
    }

    /// <summary>The most probable states of all variables together, after <see cref="Collect"/> by the greatest.</summary>
    public void Maximize(Span<int> states)
    {
        int[] at = new int[_network.Count];
        for (int c = _order.Length - 1; c >= 0; c--)
        {
            ReadOnlySpan<double> cells = Cells(c, at);
            int best = 0;
            for (int s = 1; s < cells.Length; s++)
                best = cells[s] > cells[best] ? s : best;
            at[_order[c]] = best;
        }
        Name(at, states);
    }

    /// <summary>After <see cref="Collect"/>, makes each clique's table the joint distribution of its variables.</summary>
    public void Distribute()
    {
        for (int c = _order.Length - 1; c >= 0; c--)
        {
            double[] table = _tables[c];
            int own = _allowed[_order[c]].Length;
            double[] outside = [1];
            if (_parent[c] != None)
                outside = Project(_parent[c], _scopes[c][..^1]);
            for (int i = 0; i < outside.Length; i++)
            {
                Span<double> cells = table.AsSpan(i * own, own);
                double sum = 0;
                foreach (double cell in cells)
                    sum += cell;
                double factor = sum > 0 ? outside[i] / sum : 0;
                foreach (ref double cell in cells)
                    cell *= factor;
            }
        }
    }

    /// <summary>After <see cref="Distribute"/>, the probability of each state of a variable.</summary>
    public double[] Marginal(int variable)
    {
        double[] result = new double[_network.Sizes[variable]];
        int[] states = _allowed[variable];
        double[] values = states.Length == 1 ? [1] : Project(Array.IndexOf(_order, variable), [variable]);
        for (int s = 0; s < states.Length; s++)
            result[states[s]] = values[s];
        return result;
    }

    /// <summary>After <see cref="Distribute"/>, adds a family's joint distribution to what is like its table.</summary>
    public void AddFamily(int variable, double[] counts, double weight)
    {
        int[] scope = FamilyOf(variable), family = _network.Family(variable);
        double[] joint = scope.Length == 0 ? [1] : Project(_home[variable], scope);
        int[] strides = StridesOf(scope, family);
        ForEach(family, (at, states) =>
        {
            int cell = 0;
            for (int i = 0; i < family.Length; i++)
                cell += strides[i] * at[i];
            counts[_network.IndexOf(variable, states)] += weight * joint[cell];
        });
    }

    /// <summary>Which variables evidence or a question depends on: those themselves, and what is above them.</summary>
    public static bool[] Ancestors(BayesianNetwork network, Func<int, bool> of)
    {
        bool[] active = new bool[network.Count];
        foreach (int v in network.Order.Reverse())
        {
            active[v] |= of(v);
            if (!active[v])
                continue;
            foreach (int parent in network.Parents[v])
                active[parent] = true;
        }
        return active;
    }

    // The next variable is the one whose clique adds the fewest links, and of these the one with the smallest table.
    private (int[] Order, int[][] Scopes) Eliminate(HashSet<int>?[] neighbours, long maxBytes)
    {
        var order = new List<int>();
        var scopes = new List<int[]>();
        var left = new SortedSet<int>(Enumerable.Range(0, neighbours.Length).Where(v => neighbours[v] is not null));
        var cost = new Dictionary<int, (long Links, double Cells)>();
        double cells = 0;
        while (left.Count > 0)
        {
            foreach (int v in left)
            {
                if (!cost.ContainsKey(v))
                    cost[v] = Cost(v);
            }
            int next = left.MinBy(v => cost[v]);
            int[] around = [.. neighbours[next]!.Order()];
            order.Add(next);
            scopes.Add([.. around, next]);
            cells += cost[next].Cells;
            if (cells * sizeof(double) > maxBytes || cost[next].Cells > Array.MaxLength)
            {
                throw new InvalidOperationException(FormattableString.Invariant(
                    $"Exact inference would take {cells * sizeof(double) / 1e9:G3} GB or more, and there are {maxBytes / 1e9:N1} GB for it: {scopes[^1].Length} columns depend on each other ('{string.Join("', '", scopes[^1].Take(5).Select(v => _network.Names[v]))}' …), with {cost[next].Cells:G3} combinations of their states. Learn fewer edges or bins, or give fewer conditions."));
            }
            left.Remove(next);
            cost.Remove(next);
            foreach (int a in around)
            {
                neighbours[a]!.Remove(next);
                neighbours[a]!.UnionWith(around.Where(b => b != a));
                // Links between the neighbours are new: so are the costs of all that are next to two of them.
                cost.Remove(a);
                foreach (int b in neighbours[a]!)
                    cost.Remove(b);
            }
        }
        return ([.. order], [.. scopes]);

        (long, double) Cost(int v)
        {
            long links = 0;
            double size = _allowed[v].Length;
            foreach (int a in neighbours[v]!)
            {
                size *= _allowed[a].Length;
                foreach (int b in neighbours[v]!)
                    links += a < b && !neighbours[a]!.Contains(b) ? 1 : 0;
            }
            return (links, size);
        }
    }

    /// <summary>The variables of a table that have more than one state left.</summary>
    private int[] FamilyOf(int v) => _allowed[v].Length == 0 ? [] : [.. _network.Family(v).Where(u => _allowed[u].Length > 1)];

    /// <summary>A variable's table for the states that are left, times their evidence.</summary>
    private double[] Reduced(int variable)
    {
        double[] values = new double[SizeOf(FamilyOf(variable))], table = _network.Tables[variable];
        int next = 0;
        ForEach(_network.Family(variable), (_, states) => values[next++] =
            table[_network.IndexOf(variable, states)] * (_evidence[variable]?[states[^1]] ?? 1));
        return values;
    }

    // Goes through all states that some variables have left, the last one fastest: places and states of each.
    private void ForEach(int[] variables, Action<int[], int[]> action)
    {
        int[] at = new int[variables.Length], states = [.. variables.Select(v => _allowed[v][0])];
        for (int last = 0; last >= 0;)
        {
            action(at, states);
            for (last = at.Length - 1; last >= 0; last--)
            {
                int[] allowed = _allowed[variables[last]];
                at[last] = at[last] + 1 < allowed.Length ? at[last] + 1 : 0;
                states[last] = allowed[at[last]];
                if (at[last] > 0)
                    break;
            }
        }
    }

    private int SizeOf(int[] scope) => scope.Aggregate(1, (size, v) => size * _allowed[v].Length);

    // How far one more of each variable of a scope goes in an array of another; zero for those that it does not have.
    private int[] StridesOf(int[] array, int[] scope)
    {
        int[] strides = new int[scope.Length];
        for (int i = array.Length - 1, stride = 1; i >= 0; i--)
        {
            int place = Array.IndexOf(scope, array[i]);
            if (place >= 0)
                strides[place] = stride;
            stride *= _allowed[array[i]].Length;
        }
        return strides;
    }

    // Goes through the cells of a clique together with those of an array of fewer variables.
    private void Walk(int[] scope, int[] part, int cells, Action<int, int> action)
    {
        int[] strides = StridesOf(part, scope), at = new int[scope.Length];
        for (int cell = 0, other = 0; cell < cells; cell++)
        {
            action(cell, other);
            for (int i = at.Length - 1; i >= 0; i--)
            {
                other += strides[i];
                if (++at[i] < _allowed[scope[i]].Length)
                    break;
                other -= strides[i] * at[i];
                at[i] = 0;
            }
        }
    }

    /// <summary>Sums a clique's table over all but some of its variables.</summary>
    private double[] Project(int clique, int[] part)
    {
        double[] sums = new double[SizeOf(part)], table = _tables[clique];
        Walk(_scopes[clique], part, table.Length, (cell, other) => sums[other] += table[cell]);
        return sums;
    }

    /// <summary>The cells of a clique's own variable, by the others'.</summary>
    private ReadOnlySpan<double> Cells(int clique, ReadOnlySpan<int> at)
    {
        int[] scope = _scopes[clique];
        int cell = 0;
        foreach (int v in scope.AsSpan(0, scope.Length - 1))
            cell = cell * _allowed[v].Length + at[v];
        int own = _allowed[scope[^1]].Length;
        return _tables[clique].AsSpan(cell * own, own);
    }

    private void Name(ReadOnlySpan<int> at, Span<int> states)
    {
        for (int v = 0; v < at.Length; v++)
        {
            if (_allowed[v].Length > 0)
                states[v] = _allowed[v][at[v]];
        }
    }
}
