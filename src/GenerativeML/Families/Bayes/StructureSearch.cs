using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>How the edges of a Bayesian network are found.</summary>
public enum StructureSearchMethod
{
    /// <summary>
    /// Edges are added, removed and turned round, one at a time, by the greatest gain of a score; where none gains, by
    /// the smallest loss, without coming back to the networks last visited (tabu search, Glover 1989). The best network
    /// that was visited is taken.
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

    /// <summary>The parents of each column, by the way that options choose; edges are checked.</summary>
    public static int[][] Find(StateTable table, BayesianNetworkOptions options, int? label, CancellationToken cancellation) =>
        options.Structure switch
        {
            StructureSearchMethod.Given => ParentsOf(table, options.Edges ?? []),
            StructureSearchMethod.ChowLiu => ChowLiu(table, label ?? 0, cancellation),
            _ => Climb(table, options, cancellation),
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

    private static int[][] Climb(StateTable table, BayesianNetworkOptions options, CancellationToken cancellation)
    {
        int n = table.Sizes.Length, most = options.MaxParents;
        var scores = new FamilyScores(table, options.Score, options.EquivalentSampleSize);
        var required = Edges(table, options.RequiredEdges);
        var forbidden = Edges(table, options.ForbiddenEdges);
        int[][] start = ParentsOf(table, options.RequiredEdges ?? []);
        var parents = new SortedSet<int>[n];
        double[][] gain = new double[n][]; // of each child, of adding or removing each parent
        ulong[] bits = new ulong[n * n];
        var random = new SplitMix64(0); // hashes of networks, not their choice
        foreach (ref ulong bit in bits.AsSpan())
            bit = random.Next();
        ulong hash = 0;
        for (int v = 0; v < n; v++)
        {
            parents[v] = [.. start[v]];
            hash = start[v].Aggregate(hash, (h, p) => h ^ bits[v * n + p]);
        }
        Parallel.For(0, n, v => gain[v] = new double[n]);
        for (int v = 0; v < n; v++)
            Update(v);

        double total = 0, greatest = 0;
        int[][] best = [.. parents.Select(p => p.ToArray())];
        var visited = new Queue<ulong>([hash]);
        for (int withoutGain = 0; withoutGain <= options.TabuLength; withoutGain++)
        {
            cancellation.ThrowIfCancellationRequested();
            Move? move = BestMove();
            if (move is null)
                break;
            hash ^= HashOf(move);
            total += move.Gain;
            Toggle(move.Child, move.Parent);
            if (move.IsReversal)
                Toggle(move.Parent, move.Child);
            Update(move.Child);
            if (move.IsReversal)
                Update(move.Parent);
            visited.Enqueue(hash);
            if (visited.Count > Math.Max(1, options.TabuLength))
                visited.Dequeue();
            if (total > greatest + MinGain)
                (greatest, best, withoutGain) = (total, [.. parents.Select(p => p.ToArray())], -1);
            else if (options.TabuLength == 0)
                break;
        }
        return best;

        Move? BestMove()
        {
            bool[][] reaches = Reach(parents);
            Move? found = null;
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
                        Consider(new(child, parent, gain[child][parent], false));
                        // Turned round there is a circle if the parent reaches the child another way.
                        bool circle = parents[child].Any(other => other != parent && reaches[parent][other]);
                        if (!circle && parents[parent].Count < most && !forbidden.Contains((child, parent)))
                            Consider(new(child, parent, gain[child][parent] + gain[parent][child], true));
                    }
                    else if (parents[child].Count < most && !reaches[child][parent] && !forbidden.Contains((parent, child)))
                    {
                        Consider(new(child, parent, gain[child][parent], false));
                    }
                }
            }
            return found;

            void Consider(Move move)
            {
                if (double.IsFinite(move.Gain) && (found is null || move.Gain > found.Gain)
                    && !visited.Contains(hash ^ HashOf(move)))
                {
                    found = move;
                }
            }
        }

        ulong HashOf(Move move) =>
            bits[move.Child * n + move.Parent] ^ (move.IsReversal ? bits[move.Parent * n + move.Child] : 0);

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

    private sealed record Move(int Child, int Parent, double Gain, bool IsReversal);
}
