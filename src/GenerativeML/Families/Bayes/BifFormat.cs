using System.Globalization;
using System.Text;

namespace GenerativeML;

/// <summary>The Bayesian interchange format (Cozman 1998), as JavaBayes, bnlearn and pgmpy read and write it.</summary>
internal static class BifFormat
{
    private const double MaxRounding = 0.01; // of the sum of a distribution, in a file of few digits

    /// <summary>Reads a network.</summary>
    /// <exception cref="FormatException">The text describes none.</exception>
    public static BayesianNetwork Parse(string text)
    {
        var reader = new Reader(text);
        var names = new List<string>();
        var states = new List<string[]>();
        var parents = new Dictionary<string, string[]>();
        var tables = new Dictionary<string, double[]>();
        while (!reader.IsAtEnd)
        {
            string block = reader.Next();
            if (block == "network")
            {
                reader.SkipTo("{");
                reader.SkipTo("}");
            }
            else if (block == "variable")
            {
                string name = reader.Next();
                if (names.Contains(name))
                    throw reader.Wrong($"variable '{name}' comes twice");
                reader.SkipTo("{");
                names.Add(name);
                states.Add(Variable(reader));
            }
            else if (block == "probability")
            {
                Probability(reader, names, states, parents, tables);
            }
            else
            {
                throw reader.Wrong($"'network', 'variable' or 'probability' is expected, found '{block}'");
            }
        }
        if (names.Find(name => !tables.ContainsKey(name)) is string without)
            throw new FormatException($"The BIF file has no probabilities of variable '{without}'.");
        if (names.Count == 0)
            throw new FormatException("The BIF file has no variables.");
        try
        {
            return new BayesianNetwork(
                names, states, [.. names.Select(n => parents[n].Select(p => names.IndexOf(p)).ToArray())],
                [.. names.Select(n => tables[n])]);
        }
        catch (ArgumentException wrong)
        {
            throw new FormatException($"The BIF file describes no network. {wrong.Message}");
        }
    }

    /// <summary>Writes a network.</summary>
    public static string Text(BayesianNetwork network)
    {
        var text = new StringBuilder("network unknown {\n}\n");
        string[] names = Words(network.Names);
        string[][] states = [.. network.States.Select(Words)];
        for (int v = 0; v < names.Length; v++)
        {
            text.Append(CultureInfo.InvariantCulture, $"variable {names[v]} {{\n  type discrete [ {states[v].Length} ] ");
            text.Append(CultureInfo.InvariantCulture, $"{{ {string.Join(", ", states[v])} }};\n}}\n");
        }
        for (int v = 0; v < names.Length; v++)
        {
            int[] parents = network.Parents[v];
            string given = parents.Length > 0 ? $" | {string.Join(", ", parents.Select(p => names[p]))}" : "";
            text.Append(CultureInfo.InvariantCulture, $"probability ( {names[v]}{given} ) {{\n");
            int size = network.Sizes[v];
            for (int start = 0; start < network.Tables[v].Length; start += size)
            {
                var of = new string[parents.Length];
                for (int i = parents.Length - 1, rest = start / size; i >= 0; rest /= network.Sizes[parents[i]], i--)
                    of[i] = states[parents[i]][rest % network.Sizes[parents[i]]];
                string values = string.Join(", ", network.Tables[v][start..(start + size)].Select(
                    p => p.ToString("R", CultureInfo.InvariantCulture)));
                text.Append(CultureInfo.InvariantCulture, $"  {(of.Length > 0 ? $"({string.Join(", ", of)})" : "table")} {values};\n");
            }
            text.Append("}\n");
        }
        return text.ToString();
    }

    private static string[] Variable(Reader reader)
    {
        string[]? states = null;
        for (string word; (word = reader.Next()) != "}";)
        {
            if (word == "type")
            {
                reader.SkipTo("{");
                states = reader.List("}");
                if (states.Distinct().Count() < states.Length)
                    throw reader.Wrong("a state comes twice");
            }
            reader.SkipTo(";");
        }
        return states is { Length: > 0 } ? states : throw reader.Wrong("a variable has no states");
    }

    private static void Probability(
        Reader reader, List<string> names, List<string[]> states, Dictionary<string, string[]> parents,
        Dictionary<string, double[]> tables)
    {
        reader.Require("(");
        string[] family = reader.List(")"); // the variable, and after a bar its parents
        string name = family.Length > 0 ? family[0] : throw reader.Wrong("a variable is expected");
        if (Array.Find(family, f => !names.Contains(f)) is string unknown)
            throw reader.Wrong($"there is no variable '{unknown}'");
        string[][] of = [.. family.Select(f => states[names.IndexOf(f)])];
        if (!parents.TryAdd(name, family[1..]))
            throw reader.Wrong($"the probabilities of '{name}' come twice");
        double cells = of.Aggregate(1.0, (product, s) => product * s.Length);
        if (cells > reader.Length) // each takes a character at least, unless there is a default
            throw reader.Wrong($"the table of '{name}' has more cells than the file has characters");
        int own = of[0].Length, rows = (int)cells / own;
        double[] table = new double[(int)cells];
        Array.Fill(table, double.NaN);
        double[]? others = null;
        reader.Require("{");
        for (string word; (word = reader.Next()) != "}";)
        {
            if (word == "(")
            {
                string[] given = reader.List(")");
                int row = given.Length == of.Length - 1 ? 0 : throw reader.Wrong("a state of each parent is expected");
                for (int i = 0; i < given.Length; i++)
                {
                    int state = Array.IndexOf(of[i + 1], given[i]);
                    row = state >= 0 ? row * of[i + 1].Length + state : throw reader.Wrong($"'{family[i + 1]}' has no state '{given[i]}'");
                }
                reader.Numbers(own).CopyTo(table, row * own);
            }
            else if (word == "table")
            {
                // Its own states change slowest here.
                double[] values = reader.Numbers((int)cells);
                for (int i = 0; i < values.Length; i++)
                    table[i % rows * own + i / rows] = values[i];
            }
            else if (word == "default")
            {
                others = reader.Numbers(own);
            }
            else
            {
                reader.SkipTo(";");
            }
        }
        for (int start = 0; start < table.Length; start += own)
        {
            Span<double> row = table.AsSpan(start, own);
            if (double.IsNaN(row[0]))
                others?.CopyTo(row);
            double sum = 0;
            foreach (double p in row)
                sum += p;
            if (!(Math.Abs(sum - 1) < MaxRounding))
                throw reader.Wrong($"probabilities of '{name}' are missing, or do not sum to one");
            foreach (ref double p in row)
                p /= sum;
        }
        tables[name] = table;
    }

    // Letters, digits and a few marks; all different.
    private static string[] Words(IReadOnlyList<string> names)
    {
        var taken = new HashSet<string>();
        return [.. names.Select(name =>
        {
            string word = string.Concat(name.Select(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.' or '+' or '<' or '>' or '=' ? c : '_'));
            string free = word.Length > 0 ? word : "_";
            for (int i = 2; !taken.Add(free); i++)
                free = string.Create(CultureInfo.InvariantCulture, $"{word}_{i}");
            return free;
        })];
    }

    /// <summary>The words and marks of a text, without comments.</summary>
    private sealed class Reader(string text)
    {
        private const string Marks = "{}()[],;|";
        private int _at;

        public int Length => text.Length;

        public bool IsAtEnd
        {
            get
            {
                SkipBlanks();
                return _at >= text.Length;
            }
        }

        public string Next()
        {
            if (IsAtEnd)
                throw Wrong("the file ends too early");
            int start = _at;
            if (Marks.Contains(text[_at]))
                return text[_at++].ToString();
            if (text[_at] == '"')
            {
                int end = text.IndexOf('"', _at + 1);
                if (end < 0)
                    throw Wrong("a quotation does not end");
                _at = end + 1;
                return text[(start + 1)..end];
            }
            while (_at < text.Length && !char.IsWhiteSpace(text[_at]) && !Marks.Contains(text[_at]))
                _at++;
            return text[start.._at];
        }

        public void Require(string mark)
        {
            string found = Next();
            if (found != mark)
                throw Wrong($"'{mark}' is expected, found '{found}'");
        }

        public void SkipTo(string mark)
        {
            while (Next() != mark)
            {
            }
        }

        /// <summary>Words up to a mark, whatever marks are between them.</summary>
        public string[] List(string end)
        {
            var words = new List<string>();
            for (string word; (word = Next()) != end;)
            {
                if (word is not ("," or "|"))
                    words.Add(word);
            }
            return [.. words];
        }

        /// <summary>So many probabilities, up to a semicolon.</summary>
        public double[] Numbers(int count)
        {
            double[] values = Array.ConvertAll(List(";"), word =>
                double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value)
                    ? value
                    : throw Wrong($"a probability is expected, found '{word}'"));
            return values.Length == count ? values : throw Wrong($"{count} probabilities are expected, found {values.Length}");
        }

        public FormatException Wrong(string what) => new(string.Create(
            CultureInfo.InvariantCulture, $"Line {text.AsSpan(0, Math.Min(_at, text.Length)).Count('\n') + 1} of the BIF file: {what}."));

        private void SkipBlanks()
        {
            while (_at < text.Length)
            {
                if (char.IsWhiteSpace(text[_at]))
                    _at++;
                else if (text.AsSpan(_at).StartsWith("//"))
                    _at = text.IndexOf('\n', _at) is >= 0 and int line ? line : text.Length;
                else if (text.AsSpan(_at).StartsWith("/*"))
                    _at = text.IndexOf("*/", _at + 2, StringComparison.Ordinal) is >= 0 and int end ? end + 2 : text.Length;
                else
                    return;
            }
        }
    }
}
