using GenerativeML;
using Microsoft.ML.Data;

namespace WhatCausedIt;

/// <summary>
/// A pump whose probabilities are written down, so that answers can be compared with the truth: inspections, in which
/// causes and effects are states, and readings over time, whose phase nobody sees.
/// </summary>
internal static class Pump
{
    public static readonly string[] Phases = ["sound", "clogged filter", "worn bearing"];

    // Each after its parents; probabilities are given the states of all before.
    private static readonly Part[] s_parts =
    [
        new("Wear", ["none", "slight", "heavy"], [], _ => [0.80, 0.14, 0.06]),
        new("Filter", ["clean", "clogged"], [], _ => Two(0.15)),
        new("Cavitation", ["no", "yes"], [1], of => Two(of[1] == 1 ? 0.45 : 0.03)),
        new("Vibration", ["normal", "high"], [0, 2], of => Two(1 - ((double[])[0.98, 0.75, 0.15])[of[0]] * (of[2] == 1 ? 0.4 : 1))),
        new("Temperature", ["normal", "high"], [0], of => Two(((double[])[0.03, 0.15, 0.70])[of[0]])),
        new("Flow", ["normal", "low"], [1, 2], of => Two(1 - 0.98 * (of[1] == 1 ? 0.4 : 1) * (of[2] == 1 ? 0.6 : 1))),
        new("Alarm", ["off", "on"], [3, 4, 5], of => Two(((double[])[0.002, 0.3, 0.95, 0.99])[of[3] + of[4] + of[5]])),
    ];

    /// <summary>Which causes which.</summary>
    public static IEnumerable<(string Cause, string Effect)> Edges =>
        s_parts.SelectMany(part => part.Parents.Select(p => (s_parts[p].Name, part.Name)));

    /// <summary>The true hidden Markov model of the readings.</summary>
    public static HiddenMarkovParameters Truth { get; } = new()
    {
        StartProbabilities = [1, 0, 0],
        TransitionProbabilities = [[0.990, 0.006, 0.004], [0.02, 0.975, 0.005], [0.015, 0, 0.985]],
        Components =
        [
            [new(1, [2.0, 48, 90], [[0.20, 16, 36]])],
            [new(1, [2.3, 47, 80], [[0.25, 16, 49]])],
            [new(1, [2.7, 53, 88], [[0.40, 20, 36]])],
        ],
    };

    /// <summary>Writes a table of inspections as CSV.</summary>
    public static void WriteInspections(string path, int rows, int seed)
    {
        var random = new Random(seed);
        int[] states = new int[s_parts.Length];
        File.WriteAllLines(path, Enumerable.Range(0, rows).Select(_ =>
        {
            for (int p = 0; p < states.Length; p++)
                states[p] = Choose(random, s_parts[p].Given(states));
            return string.Join(',', states.Select((state, p) => s_parts[p].States[state]));
        }).Prepend(string.Join(',', s_parts.Select(p => p.Name))));
    }

    /// <summary>Readings, one an hour, and the phase that each is of.</summary>
    public static IEnumerable<Reading> Readings(int count, int seed)
    {
        var random = new Random(seed);
        for (int i = 0, phase = 0; i < count; i++, phase = Choose(random, Truth.TransitionProbabilities[phase]))
        {
            HiddenMarkovComponent normal = Truth.Components![phase][0];
            yield return new()
            {
                Phase = Phases[phase],
                Features = [.. normal.Mean.Zip(normal.Covariance[0], (mean, variance) => (float)(mean + Math.Sqrt(variance) * Noise(random)))],
            };
        }
    }

    /// <summary>How likely each state of a part truly is, given evidence: summed over all that can be.</summary>
    public static Dictionary<string, double> Posterior(string name, IReadOnlyDictionary<string, string> evidence)
    {
        int asked = Array.FindIndex(s_parts, p => p.Name == name);
        double[] sums = new double[s_parts[asked].States.Length];
        Add(0, 1, new int[s_parts.Length]);
        return s_parts[asked].States.Zip(sums, (state, sum) => (state, sum / sums.Sum())).ToDictionary();

        void Add(int p, double probability, int[] states)
        {
            if (p == s_parts.Length)
                sums[states[asked]] += probability;
            for (int state = 0; p < s_parts.Length && state < s_parts[p].States.Length; state++)
            {
                states[p] = state;
                if (evidence.GetValueOrDefault(s_parts[p].Name, s_parts[p].States[state]) == s_parts[p].States[state])
                    Add(p + 1, probability * s_parts[p].Given(states)[state], states);
            }
        }
    }

    private static double[] Two(double second) => [1 - second, second];

    private static int Choose(Random random, IReadOnlyList<double> probabilities)
    {
        double point = random.NextDouble();
        int state = 0;
        while (state < probabilities.Count - 1 && (point -= probabilities[state]) >= 0)
            state++;
        return state;
    }

    private static double Noise(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    private sealed record Part(string Name, string[] States, int[] Parents, Func<int[], double[]> Given);
}

/// <summary>Vibration in mm/s, bearing in °C and flow in m³/h at a moment, and the phase, which no model is told.</summary>
internal sealed class Reading
{
    [VectorType(3)]
    public float[] Features { get; set; } = [];

    public string Phase { get; set; } = "";
}
