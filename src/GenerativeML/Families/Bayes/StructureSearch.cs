using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>How the edges of a Bayesian network are found.</summary>
public enum StructureSearchMethod
{
    /// <summary>
    /// Edges are added, removed and turned round, one at a time, by the greatest gain of a score; where none gains, by
    /// the smallest loss, without changing again what was changed last (tabu search, Glover 1989). The best network that
    /// was visited is taken.
    /// </summary>
    HillClimbing,

    /// <summary>The tree of the greatest likelihood (Chow and Liu 1968): each column depends on one other.</summary>
    ChowLiu,

    /// <summary>The edges are those of <see cref="BayesianNetworkOptions.Edges"/>.</summary>
    Given,
}

/// <summary>What networks are compared by; greater is better.</summary>
public enum StructureScore
{
    /// <summary>The log-likelihood less half a log of the rows for each parameter (Schwarz 1978).</summary>
    Bic,

    /// <summary>The marginal likelihood under a uniform Dirichlet prior of some rows in all (Heckerman 1995).</summary>
    BDeu,

    /// <summary>The marginal likelihood under one row before for each probability (Cooper and Herskovits 1992).</summary>
    K2,
}

/// <summary>Rows of states, column by column; <see cref="Missing"/> where one is not known.</summary>
internal sealed record StateTable(IReadOnlyList<string> Names, int[] Sizes, ushort[][] Columns, int Rows)
{
    /// <summary>A state that is not known.</summary>
    public const ushort Missing = ushort.MaxValue;

    /// <summary>The columns that hold states that are not known.</summary>
    public bool HasMissing => Columns.Any(c => c.AsSpan(0, Rows).Contains(Missing));

    /// <summary>Some of the rows.</summary>
    public StateTable Take(int[] rows) =>
        this with { Columns = [.. Columns.Select(c => Array.ConvertAll(rows, row => c[row]))], Rows = rows.Length };

    /// <summary>The states of a row.</summary>
    public void Read(int row, Span<int> states)
    {
        for (int v = 0; v < states.Length; v++)
            states[v] = Columns[v][row];
    }
}

/// <summary>
/// The score of a column with some parents, by counts over all rows, in which nothing is missing; each is computed once.
/// </summary>
internal sealed class FamilyScores(StateTable table, StructureScore? score, double equivalentSampleSize)
{
    // Tables of more cells take more memory, and more rows to learn, than any structure is worth.
    private const double MaxCells = 1 << 22;
    private const int DenseCellsPerRow = 8;

    private readonly ConcurrentDictionary<string, double> _known = [];

    /// <summary>The score of a column with parents; minus infinity where its table would be too large.</summary>
    public double Of(int child, IEnumerable<int> parents)
    {
        int[] sorted = [.. parents.Order()];
        string key = new(MemoryMarshal.Cast<int, char>([child, .. sorted]));
        return _known.TryGetValue(key, out double known) ? known : _known[key] = Compute(child, sorted);
    }

    private double Compute(int child, int[] parents)
    {
        int r = table.Sizes[child];
        double cells = BayesianNetwork.CellsOf(table.Sizes, child, parents), q = cells / r;
        if (parents.Length > 0 && cells > MaxCells)
            return double.NegativeInfinity;
        int[] counts = Count(child, parents, (int)q);
        // Combinations of parents that no row has add nothing to any of the three.
        double sum = score == StructureScore.Bic ? -0.5 * Math.Log(table.Rows) * q * (r - 1) : 0;
        double all = score == StructureScore.K2 ? r : equivalentSampleSize / q, each = all / r;
        double logGammaAll = LogGamma(all), logGammaEach = LogGamma(each);
        for (int start = 0; start < counts.Length; start += r)
        {
            int rows = 0;
            foreach (int count in counts.AsSpan(start, r))
                rows += count;
            if (rows == 0)
                continue;
            bool isLikelihood = score is StructureScore.Bic or null;
            sum += isLikelihood ? -rows * Math.Log(rows) : logGammaAll - LogGamma(all + rows);
            foreach (int count in counts.AsSpan(start, r))
            {
                if (count > 0)
                    sum += isLikelihood ? count * Math.Log(count) : LogGamma(each + count) - logGammaEach;
            }
        }
        return sum;
    }

    // Of the combinations of parents' states all, or where these are many those that occur; the child's states fastest.
    private int[] Count(int child, int[] parents, int configurations)
    {
        int r = table.Sizes[child], rows = table.Rows;
        int[] at = new int[rows];
        foreach (int parent in parents)
        {
            ushort[] states = table.Columns[parent];
            int size = table.Sizes[parent];
            for (int i = 0; i < at.Length; i++)
                at[i] = at[i] * size + states[i];
        }
        if ((long)configurations * r > Math.Max(1 << 16, (long)DenseCellsPerRow * rows))
        {
            var places = new Dictionary<int, int>();
            for (int i = 0; i < at.Length; i++)
            {
                ref int place = ref CollectionsMarshal.GetValueRefOrAddDefault(places, at[i], out bool exists);
                at[i] = exists ? place : place = places.Count - 1;
            }
            configurations = places.Count;
        }
        int[] counts = new int[configurations * r];
        ushort[] own = table.Columns[child];
        for (int i = 0; i < at.Length; i++)
            counts[at[i] * r + own[i]]++;
        return counts;
    }

    /// <summary>The logarithm of Γ of a positive number: moved up by its recurrence, then Stirling's series.</summary>
    internal static double LogGamma(double x)
    {
        double shift = 1;
        for (; x < 10; x++)
            shift *= x;
        double inverse = 1 / (x * x);
        double series = (1.0 / 12 - inverse * (1.0 / 360 - inverse * (1.0 / 1260 - inverse * (1.0 / 1680 - inverse / 1188)))) / x;
        return (x - 0.5) * Math.Log(x) - x + 0.5 * Math.Log(2 * Math.PI) + series - Math.Log(shift);
    }
}

/// <summary>Finds the parents of each column by rows in which nothing is missing.</summary>
internal static class StructureSearch
{
    private const double MinGain = 1e-6;
    private const int MaxReordered = 64; // of more columns it would take too long

    /// <summary>The parents of each column, by the way that options choose; edges are checked.</summary>
    public static int[][] Find(
        StateTable table, BayesianNetworkOptions options, int? label, CancellationToken cancellation, int seed = 0) =>
        options.Structure switch
        {
            StructureSearchMethod.Given => ParentsOf(table, options.Edges ?? []),
            StructureSearchMethod.ChowLiu => ChowLiu(table, label ?? 0, cancellation),
            _ => Climb(table, options, seed, cancellation),
        };

    /// <summary>The score of a network's structure.</summary>
    public static double Score(StateTable table, int[][] parents, StructureScore score, double equivalentSampleSize)
    {
        var scores = new FamilyScores(table, score, equivalentSampleSize);
        return parents.Select((p, v) => scores.Of(v, p)).Sum();
    }

    /// <summary>The tree of the greatest mutual information, away from a root (Prim 1957).</summary>
    private static int[][] ChowLiu(StateTable table, int root, CancellationToken cancellation)
    {
        int n = table.Sizes.Length;
        var scores = new FamilyScores(table, null, 1); // log-likelihoods, whose differences are mutual informations
        int[] best = new int[n];
        double[] gain = new double[n];
        Array.Fill(best, -1);
        Array.Fill(gain, double.NegativeInfinity);
        bool[] isInTree = new bool[n];
        var parents = new int[n][];
        for (int added = root, count = 0; count < n; count++)
        {
            cancellation.ThrowIfCancellationRequested();
            isInTree[added] = true;
            parents[added] = best[added] < 0 ? [] : [best[added]];
            int from = added;
            Parallel.For(0, n, v =>
            {
                if (isInTree[v])
                    return;
                double information = scores.Of(v, [from]) - scores.Of(v, []);
                if (information > gain[v])
                    (gain[v], best[v]) = (information, from);
            });
            added = Enumerable.Range(0, n).Where(v => !isInTree[v]).DefaultIfEmpty(root).MaxBy(v => gain[v]);
        }
        return parents;
    }

    private static int[][] Climb(StateTable table, BayesianNetworkOptions options, int seed, CancellationToken cancellation)
    {
        int n = table.Sizes.Length, most = options.MaxParents;
        var scores = new FamilyScores(table, options.Score ?? StructureScore.Bic, options.EquivalentSampleSize);
        var required = Edges(table, options.RequiredEdges);
        var forbidden = Edges(table, options.ForbiddenEdges);
        int[][] start = ParentsOf(table, options.RequiredEdges ?? []);
        var parents = new SortedSet<int>[n];
        double[][] gain = new double[n][]; // of each child, of adding or removing each parent
        int[,] changed = new int[n, n]; // the step from which on a pair may be changed again
        for (int v = 0; v < n; v++)
            parents[v] = [.. start[v]];
        Parallel.For(0, n, v => gain[v] = new double[n]);
        for (int v = 0; v < n; v++)
            Update(v);

        double total = 0, greatest = 0;
        int[][] best = [.. parents.Select(p => p.ToArray())];
        int step = 0;
        var random = new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Initialization));
        for (int restart = 0; restart <= (n <= MaxReordered ? options.Restarts : 0); restart++)
        {
            if (restart > 0)
                Reorder(restart == 1 ? 0 : 1 + random.Next(8));
            double local = total;
            for (int withoutGain = 0; withoutGain <= options.TabuLength; withoutGain++)
            {
                if (IsStopped())
                    return best;
                step++;
                if (BestMove() is not Move move || options.TabuLength == 0 && move.Gain <= MinGain)
                    break;
                Make(move);
                changed[move.Child, move.Parent] = changed[move.Parent, move.Child] = step + options.TabuLength;
                if (total > local + MinGain)
                    (local, withoutGain) = (total, -1);
                if (total > greatest + MinGain)
                    (greatest, best) = (total, [.. parents.Select(p => p.ToArray())]);
            }
        }
        return best;

        bool IsStopped()
        {
            if (step == 0 || options.CancellationBehavior == CancellationBehavior.Throw)
                cancellation.ThrowIfCancellationRequested();
            return cancellation.IsCancellationRequested;
        }

        // The best network's order with some columns elsewhere, improved by moving one column at a time to where the
        // best parents before each sum up to most (Teyssier and Koller 2005): many edges change their direction at once,
        // as no series of single gains does.
        void Reorder(int moves)
        {
            List<int> order = [.. BayesianNetwork.OrderOf(best, table.Names)];
            for (int i = 0; i < moves; i++)
                Move(random.Next(n), random.Next(n));
            int[][] chosen = new int[n][];
            Parallel.For(0, n, v => chosen[v] = BestOf(v, order.Take(order.IndexOf(v))));
            double sum = chosen.Select((p, v) => scores.Of(v, p)).Sum();
            for (int since = 0, v = 0; since < n; since++, v = (v + 1) % n)
            {
                if (IsStopped())
                    return;
                int from = order.IndexOf(v);
                (double Gain, int To) down = default, up = default;
                Parallel.Invoke(() => down = Shift(v, from, -1), () => up = Shift(v, from, 1));
                (double gain, int to) = down.Gain > up.Gain ? down : up;
                if (!(gain > MinGain))
                    continue;
                Move(from, to);
                Parallel.For(Math.Min(from, to), Math.Max(from, to) + 1, i => chosen[order[i]] = BestOf(order[i], order.Take(i)));
                since = -1;
            }
            total = start.Select((p, v) => -scores.Of(v, p)).Sum();
            for (int v = 0; v < n; v++)
            {
                total += scores.Of(v, chosen[v]);
                if (parents[v].SetEquals(chosen[v]))
                    continue;
                parents[v] = [.. chosen[v]];
                Update(v);
            }
            Array.Clear(changed);

            void Move(int from, int to)
            {
                int moved = order[from];
                // Required edges keep their direction.
                if (Enumerable.Range(Math.Min(from, to), Math.Abs(from - to) + 1).Any(i => IsRequired(moved, order[i], from < to)))
                    return;
                order.RemoveAt(from);
                order.Insert(to, moved);
            }

            bool IsRequired(int v, int other, bool later) => required.Contains(later ? (v, other) : (other, v));

            // The best place in one direction: at each step a neighbour passes, which gains or loses the column.
            (double Gain, int To) Shift(int v, int from, int direction)
            {
                double gain = 0;
                (double Gain, int To) found = (0, from);
                HashSet<int> before = [.. order.Take(from)];
                for (int to = from + direction; to >= 0 && to < n && !IsRequired(v, order[to], direction > 0); to += direction)
                {
                    int passed = order[to];
                    HashSet<int> others = [.. order.Take(to)];
                    if (direction > 0)
                    {
                        others.Remove(v); // it stands behind now
                        before.Add(passed);
                    }
                    else
                    {
                        before.Remove(passed);
                        others.Add(v);
                    }
                    gain += scores.Of(passed, BestOf(passed, others)) - scores.Of(passed, chosen[passed]);
                    double own = scores.Of(v, BestOf(v, before)) - scores.Of(v, chosen[v]);
                    if (gain + own > found.Gain)
                        found = (gain + own, to);
                }
                return found;
            }
        }

        // Parents are added while that gains; then one is left out, or another takes its place.
        int[] BestOf(int child, IEnumerable<int> before)
        {
            int[] own = start[child], candidates = [.. before.Where(p => !forbidden.Contains((p, child)))];
            double now = scores.Of(child, own);
            while (Better(Added()) || Better(Less()) || Better(Exchanged()))
            {
            }
            return own;

            IEnumerable<int[]> Added() => own.Length < most ? candidates.Except(own).Select(p => own.Append(p).ToArray()) : [];

            IEnumerable<int[]> Less() => own.Except(start[child]).Select(p => own.Where(other => other != p).ToArray());

            IEnumerable<int[]> Exchanged() => Less().SelectMany(
                left => candidates.Except(own).Select(p => left.Append(p).ToArray()));

            bool Better(IEnumerable<int[]> sets)
            {
                (double score, int[] found) = sets.Select(set => (scores.Of(child, set), set)).DefaultIfEmpty((now, own)).MaxBy(s => s.Item1);
                if (!(score > now + MinGain))
                    return false;
                (now, own) = (score, found);
                return true;
            }
        }

        void Make(Move move)
        {
            total += move.Gain;
            Toggle(move.Child, move.Parent);
            if (move.IsReversal)
                Toggle(move.Parent, move.Child);
            Update(move.Child);
            if (move.IsReversal)
                Update(move.Parent);
        }

        Move? BestMove()
        {
            Move? found = null;
            foreach (Move move in Moves())
            {
                if (double.IsFinite(move.Gain) && (!(move.Gain <= found?.Gain))
                    && (changed[move.Child, move.Parent] <= step || total + move.Gain > greatest + MinGain))
                {
                    found = move;
                }
            }
            return found;
        }

        IEnumerable<Move> Moves()
        {
            bool[][] reaches = Reach(parents);
            for (int child = 0; child < n; child++)
            {
                for (int parent = 0; parent < n; parent++)
                {
                    if (parent == child)
                        continue;
                    if (parents[child].Contains(parent))
                    {
                        if (required.Contains((parent, child)))
                            continue;
                        yield return new(child, parent, gain[child][parent], false);
                        // Turned round there is a circle if the parent reaches the child another way.
                        bool circle = parents[child].Any(other => other != parent && reaches[parent][other]);
                        if (!circle && parents[parent].Count < most && !forbidden.Contains((child, parent)))
                            yield return new(child, parent, gain[child][parent] + gain[parent][child], true);
                    }
                    else if (parents[child].Count < most && !reaches[child][parent] && !forbidden.Contains((parent, child)))
                    {
                        yield return new(child, parent, gain[child][parent], false);
                    }
                }
            }
        }

        void Toggle(int child, int parent)
        {
            if (!parents[child].Remove(parent))
                parents[child].Add(parent);
        }

        void Update(int child)
        {
            double now = scores.Of(child, parents[child]);
            Parallel.For(0, n, parent =>
            {
                if (parent == child)
                    return;
                bool isThere = parents[child].Contains(parent);
                gain[child][parent] = !isThere && parents[child].Count >= most
                    ? double.NegativeInfinity
                    : scores.Of(child, isThere ? parents[child].Where(p => p != parent) : parents[child].Append(parent)) - now;
            });
        }
    }

    /// <summary>For each column, which it reaches along edges; itself among them.</summary>
    private static bool[][] Reach(SortedSet<int>[] parents)
    {
        int n = parents.Length;
        var children = new List<int>[n];
        for (int v = 0; v < n; v++)
            children[v] = [];
        for (int v = 0; v < n; v++)
        {
            foreach (int parent in parents[v])
                children[parent].Add(v);
        }
        bool[][] reaches = new bool[n][];
        var waiting = new Stack<int>();
        for (int v = 0; v < n; v++)
        {
            bool[] reached = reaches[v] = new bool[n];
            for (waiting.Push(v); waiting.TryPop(out int next);)
            {
                if (reached[next])
                    continue;
                reached[next] = true;
                foreach (int child in children[next])
                    waiting.Push(child);
            }
        }
        return reaches;
    }

    private static HashSet<(int, int)> Edges(StateTable table, IReadOnlyList<NetworkEdge>? edges) =>
        [.. (edges ?? []).Select(e => (Place(table, e, e.Parent), Place(table, e, e.Child)))];

    private static int[][] ParentsOf(StateTable table, IReadOnlyList<NetworkEdge> edges)
    {
        HashSet<(int Parent, int Child)> given = Edges(table, edges);
        int[][] parents = [.. table.Names.Select((_, v) => given.Where(e => e.Child == v).Select(e => e.Parent).Order().ToArray())];
        BayesianNetwork.OrderOf(parents, table.Names);
        for (int v = 0; v < parents.Length; v++)
        {
            double cells = BayesianNetwork.CellsOf(table.Sizes, v, parents[v]);
            if (cells * sizeof(double) > BayesianNetwork.MemoryLimit || cells > Array.MaxLength)
            {
                throw new InvalidOperationException(FormattableString.Invariant(
                    $"The table of column '{table.Names[v]}' with its {parents[v].Length} parents would have {cells:G3} probabilities ({cells * sizeof(double) / 1e9:G3} GB). Give it fewer parents, or use fewer bins."));
            }
        }
        return parents;
    }

    private static int Place(StateTable table, NetworkEdge edge, string column)
    {
        int place = table.Names.ToList().IndexOf(column);
        return place >= 0 ? place : throw new ArgumentException(
            $"The edge {edge} names column '{column}', which is not learned. There are '{string.Join("', '", table.Names.Take(20))}'.");
    }

    private readonly record struct Move(int Child, int Parent, double Gain, bool IsReversal);
}
