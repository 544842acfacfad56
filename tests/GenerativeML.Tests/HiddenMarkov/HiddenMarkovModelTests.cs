using System.Text.Json;

namespace GenerativeML.Tests.HiddenMarkov;

/// <summary>The mathematics of hidden Markov models, against published values and sums over all paths.</summary>
[TestClass]
public sealed class HiddenMarkovModelTests
{
    private static readonly double s_none = double.NegativeInfinity;

    private static HiddenMarkovModel Categorical(double[] start, double[] transitions, double[] emissions, int categories) =>
        new(start, transitions, new CategoricalEmissions(emissions, categories, 0));

    private static HiddenMarkovInference Infer(HiddenMarkovModel model, params float[] steps)
    {
        HiddenMarkovInference inferred = HiddenMarkovRows.Infer(model, steps);
        inferred.Backward();
        return inferred;
    }

    private static double[][] Smoothed(HiddenMarkovInference inferred, int states) =>
        [.. Enumerable.Range(0, inferred.Steps).Select(t =>
        {
            double[] shares = new double[states];
            inferred.Smoothed(t, shares);
            return shares;
        })];

    private static int[] Path(HiddenMarkovInference inferred)
    {
        int[] path = new int[inferred.Steps];
        inferred.Path(path);
        return path;
    }

    private static double[] Flat(JsonElement matrix) => matrix.ValueKind == JsonValueKind.Array
        ? [.. matrix.EnumerateArray().SelectMany(Flat)] : [matrix.GetDouble()];

    private static JsonElement Published(string name) =>
        JsonDocument.Parse(File.ReadAllText(TestData.Find("hmm/hmm_vectors.json"))).RootElement.GetProperty(name);

    private static void AssertNear(double[] expected, IEnumerable<double> found, double tolerance)
    {
        double[] all = [.. found];
        Assert.HasCount(expected.Length, all);
        for (int i = 0; i < all.Length; i++)
            Assert.AreEqual(expected[i], all[i], tolerance, $"number {i}");
    }

    [TestMethod]
    public void The_weather_is_as_published()
    {
        JsonElement published = Published("categorical_weather");
        HiddenMarkovModel model = Categorical(
            Flat(published.GetProperty("startprob")), Flat(published.GetProperty("transmat")),
            Flat(published.GetProperty("emissionprob")), 3);
        HiddenMarkovInference inferred = Infer(model, [.. Flat(published.GetProperty("X")).Select(v => (float)v)]);
        AssertNear(Flat(published.GetProperty("viterbi_states")), Path(inferred).Select(s => (double)s), 0);
        Assert.AreEqual(published.GetProperty("viterbi_prob").GetDouble(), Math.Exp(inferred.PathLogLikelihood), 1e-12);
        Assert.AreEqual(
            published.GetProperty("log_prob_own_arithmetic").GetDouble(), inferred.LogLikelihood, 1e-12);
        double[][] smoothed = Smoothed(inferred, 2);
        AssertNear(Flat(published.GetProperty("posteriors")), smoothed.SelectMany(s => s), 1e-6);
        AssertNear(
            Flat(published.GetProperty("map_states")), smoothed.Select(s => (double)Array.IndexOf(s, s.Max())), 0);
    }

    [TestMethod]
    public void The_umbrella_is_as_published_to_all_its_digits()
    {
        JsonElement published = Published("umbrella");
        double[] frames = Flat(published.GetProperty("frameprob"));
        // Category 0 is the umbrella, which the first two frames show; 1 is none.
        HiddenMarkovModel model = Categorical(
            Flat(published.GetProperty("startprob")), Flat(published.GetProperty("transmat")),
            [frames[0], frames[4], frames[1], frames[5]], 2);
        HiddenMarkovInference inferred = Infer(
            model, [.. Enumerable.Range(0, 5).Select(t => frames[2 * t] == frames[0] ? 0f : 1f)]);
        const double digits = 0.5001e-4; // four are given
        Assert.AreEqual(published.GetProperty("log_prob").GetDouble(), inferred.LogLikelihood, digits);
        AssertNear(Flat(published.GetProperty("viterbi_states")), Path(inferred).Select(s => (double)s), 0);
        Assert.AreEqual(published.GetProperty("viterbi_log_prob").GetDouble(), inferred.PathLogLikelihood, digits);
        double[][] smoothed = Smoothed(inferred, 2);
        AssertNear(Flat(published.GetProperty("posteriors")), smoothed.SelectMany(s => s), digits);
        double before = 0;
        double[] forward = Flat(published.GetProperty("forward")), backward = Flat(published.GetProperty("backward"));
        for (int t = 0; t < 5; t++)
        {
            before += inferred.StepLogLikelihood(t);
            for (int k = 0; k < 2; k++)
            {
                double joint = Math.Exp(before + inferred.LogFiltered(t, k));
                Assert.AreEqual(forward[2 * t + k], joint, digits);
                Assert.AreEqual(backward[2 * t + k], Math.Exp(inferred.LogLikelihood) * smoothed[t][k] / joint, digits);
            }
        }
    }

    [TestMethod]
    public void All_that_is_inferred_is_what_summing_all_paths_gives()
    {
        var random = new SplitMix64(7);
        for (int trial = 0; trial < 20; trial++)
        {
            const int states = 3, categories = 4, steps = 5;
            // With zeros, but never in a whole row.
            double[] Rows(int rows, int width)
            {
                double[] all = new double[rows * width];
                for (int i = 0; i < all.Length; i++)
                    all[i] = i % width != i / width && random.NextDouble() < 0.3 ? 0 : random.NextDouble();
                for (int at = 0; at < all.Length; at += width)
                    HiddenMarkovSums.Normalize(all.AsSpan(at, width), all.AsSpan(at, width));
                return all;
            }

            HiddenMarkovModel model = Categorical(Rows(1, states), Rows(states, states), Rows(states, categories), categories);
            float[] sequence = [.. Enumerable.Range(0, steps).Select(_ => (float)random.Next(categories))];
            if (trial % 4 == 0)
                sequence[random.Next(steps)] = float.NaN;
            double[] emission = ((CategoricalEmissions)model.Emissions).Probabilities;
            double total = 0, best = 0;
            double[,] marginal = new double[steps, states];
            double[] transitions = new double[states * states];
            int[] bestPath = new int[steps];
            for (int code = 0; code < Math.Pow(states, steps); code++)
            {
                int[] path = [.. Enumerable.Range(0, steps).Select(t => code / (int)Math.Pow(states, t) % states)];
                double p = model.Start[path[0]];
                for (int t = 0; t < steps; t++)
                {
                    p *= t > 0 ? model.Transitions[path[t - 1] * states + path[t]] : 1;
                    p *= float.IsNaN(sequence[t]) ? 1 : emission[path[t] * categories + (int)sequence[t]];
                }
                total += p;
                (best, bestPath) = p > best ? (p, path) : (best, bestPath);
                for (int t = 0; t < steps; t++)
                {
                    marginal[t, path[t]] += p;
                    if (t > 0)
                        transitions[path[t - 1] * states + path[t]] += p;
                }
            }
            if (total == 0)
                continue; // by chance the zeros forbid it
            HiddenMarkovInference inferred = Infer(model, sequence);
            Assert.AreEqual(Math.Log(total), inferred.LogLikelihood, 1e-12);
            CollectionAssert.AreEqual(bestPath, Path(inferred));
            Assert.AreEqual(Math.Log(best), inferred.PathLogLikelihood, 1e-12);
            double[][] smoothed = Smoothed(inferred, states);
            for (int t = 0; t < steps; t++)
            {
                for (int k = 0; k < states; k++)
                    Assert.AreEqual(marginal[t, k] / total, smoothed[t][k], 1e-12);
            }
            var sums = new HiddenMarkovSums(model);
            inferred.Observe(0, sums);
            for (int i = 0; i < transitions.Length; i++)
                Assert.AreEqual(transitions[i] / total, sums.Transitions[i], 1e-12);
        }
    }

    [TestMethod]
    public void A_state_that_only_later_steps_speak_for_is_not_lost_to_underflow()
    {
        // Two chains that never meet; the first thirty steps prefer one by 1e-3000, the next sixty the other.
        HiddenMarkovModel model = Categorical([0.5, 0.5], [1, 0, 0, 1], [1 - 1e-100, 1e-100, 1e-100, 1 - 1e-100], 2);
        HiddenMarkovInference inferred = Infer(model, [.. Enumerable.Range(0, 90).Select(t => t < 30 ? 0f : 1f)]);
        Assert.IsTrue(Path(inferred).All(s => s == 1));
        double[][] smoothed = Smoothed(inferred, 2);
        Assert.IsTrue(smoothed.All(s => Math.Abs(s[1] - 1) < 1e-12));
        Assert.AreEqual(Math.Log(0.5) + 30 * Math.Log(1e-100), inferred.LogLikelihood, 1e-9);
        var sums = new HiddenMarkovSums(model);
        inferred.Observe(0, sums);
        Assert.AreEqual(89, sums.Transitions[3], 1e-9);
    }

    [TestMethod]
    public void An_impossible_step_has_minus_infinity_and_the_steps_around_it_are_as_if_it_were_not_observed()
    {
        HiddenMarkovModel model = Categorical([0.6, 0.4], [0.7, 0.3, 0.4, 0.6], [0.5, 0.5, 0, 0.2, 0.8, 0], 3);
        HiddenMarkovInference impossible = Infer(model, 0, 1, 2, 1, 1), missing = Infer(model, 0, 1, float.NaN, 1, 1);
        Assert.AreEqual(s_none, impossible.StepLogLikelihood(2));
        Assert.AreEqual(s_none, impossible.LogLikelihood);
        Assert.IsTrue(double.IsNaN(missing.StepLogLikelihood(2)));
        foreach (int t in new[] { 0, 1, 3, 4 })
            Assert.AreEqual(missing.StepLogLikelihood(t), impossible.StepLogLikelihood(t), 1e-15);
        AssertNear([.. Smoothed(missing, 2).SelectMany(s => s)], Smoothed(impossible, 2).SelectMany(s => s), 1e-15);
        CollectionAssert.AreEqual(Path(missing), Path(impossible));
        Assert.AreEqual(4, missing.ObservedSteps);
    }

    [TestMethod]
    public void Gaussian_densities_are_those_of_the_formula_and_equal_rows_of_transitions_make_a_mixture()
    {
        double[] covariance = [2, 0.6, 0.6, 1], other = [0.5, -0.1, -0.1, 0.3];
        var emissions = new GaussianEmissions(
            2, [1, 1], [0, 1, 3, -1], [.. covariance, .. other], new(CovarianceType.Full, [1, 1], 1e-9));
        double Density(double[] s, double x, double y)
        {
            double det = s[0] * s[3] - s[1] * s[2];
            return Math.Exp(-0.5 * (s[3] * x * x - 2 * s[1] * x * y + s[0] * y * y) / det) / (2 * Math.PI * Math.Sqrt(det));
        }

        var model = new HiddenMarkovModel([0.3, 0.7], [0.3, 0.7, 0.3, 0.7], emissions);
        float[] steps = [0.5f, 2, 1, 1, 3, -2, -1, 0];
        HiddenMarkovInference inferred = Infer(model, steps);
        for (int t = 0; t < 4; t++)
        {
            double first = 0.3 * Density(covariance, steps[2 * t], steps[2 * t + 1] - 1);
            double second = 0.7 * Density(other, steps[2 * t] - 3, steps[2 * t + 1] + 1);
            Assert.AreEqual(Math.Log(first + second), inferred.StepLogLikelihood(t), 1e-12);
            Assert.AreEqual(first / (first + second), Math.Exp(inferred.LogFiltered(t, 0)), 1e-12);
        }
        // As one state of two components it is the same.
        var mixture = new GaussianEmissions(
            1, [0.3, 0.7], [0, 1, 3, -1], [.. covariance, .. other], new(CovarianceType.Full, [1, 1], 1e-9));
        Assert.AreEqual(
            inferred.LogLikelihood, Infer(new([1], [1], mixture), steps).LogLikelihood, 1e-12);
    }

    [TestMethod]
    public void Clipping_eigenvalues_leaves_the_others_and_gives_the_likeliest_covariance()
    {
        // Rotated by 30 degrees: variances 4 and 1e-4 along the new axes.
        double c = Math.Cos(Math.PI / 6), s = Math.Sin(Math.PI / 6);
        double[] Rotated(double a, double b) =>
            [a * c * c + b * s * s, (a - b) * c * s, (a - b) * c * s, a * s * s + b * c * c];

        double[] matrix = Rotated(4, 1e-4);
        Assert.IsTrue(SymmetricMatrix.ClipEigenvalues(matrix, 2, 0.01));
        AssertNear(Rotated(4, 0.01), matrix, 1e-12);
        double[] sound = Rotated(4, 0.02), before = [.. sound];
        Assert.IsFalse(SymmetricMatrix.ClipEigenvalues(sound, 2, 0.01));
        CollectionAssert.AreEqual(before, sound);
    }
}
