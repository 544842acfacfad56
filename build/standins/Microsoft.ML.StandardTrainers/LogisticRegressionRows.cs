using Microsoft.ML.Data;

namespace Microsoft.ML.Trainers;

/// <summary>
/// Training rows by column, and the weights that are best for them. The loss has one minimum, so any way there will do;
/// this one solves a quadratic model of it, slot by slot, again and again.
/// </summary>
internal sealed class LogisticRegressionRows(int slots)
{
    private const int MostSteps = 100, MostSweeps = 8;
    private const double Tolerance = 1e-7;

    private readonly List<(int Row, float Value)>[] _columns =
        [.. Enumerable.Range(0, slots + 1).Select(_ => new List<(int, float)>())];

    private readonly List<bool> _truth = [];

    public int Count => _truth.Count;

    /// <summary>A row with a feature that is no number does not count.</summary>
    public void Add(in VBuffer<float> features, bool truth)
    {
        if (features.Items().Any(item => !float.IsFinite(item.Value)))
            return;
        foreach ((int slot, float value) in features.Items())
        {
            if (value != 0)
                _columns[slot].Add((Count, value));
        }

        _columns[slots].Add((Count, 1));
        _truth.Add(truth);
    }

    public (float[] Weights, float Bias) Solve(double l1, double l2)
    {
        double[] weights = new double[slots + 1], margins = new double[Count];
        double objective = Objective(margins, weights, l1, l2);
        for (int step = 0; step < MostSteps; step++)
        {
            (double[] change, double[] shift) = Direction(weights, margins, l1, l2);
            double length = 1, before = objective;
            double[] nextWeights, nextMargins;
            do
            {
                nextWeights = [.. weights.Select((w, j) => w + length * change[j])];
                nextMargins = [.. margins.Select((m, i) => m + length * shift[i])];
                objective = Objective(nextMargins, nextWeights, l1, l2);
                length /= 2;
            }
            while (objective > before && length > 1e-6);
            if (objective > before)
                break;
            (weights, margins) = (nextWeights, nextMargins);
            if (before - objective <= Tolerance * (1 + before))
                break;
        }

        return ([.. weights[..slots].Select(w => (float)w)], (float)weights[slots]);
    }

    private double Objective(double[] margins, double[] weights, double l1, double l2)
    {
        double sum = 0;
        for (int i = 0; i < margins.Length; i++)
        {
            double wrong = _truth[i] ? -margins[i] : margins[i];
            sum += Math.Max(wrong, 0) + Math.Log(1 + Math.Exp(-Math.Abs(wrong)));
        }

        for (int j = 0; j < slots; j++)
            sum += l1 * Math.Abs(weights[j]) + l2 / 2 * weights[j] * weights[j];
        return sum;
    }

    /// <summary>The change of weights, and of margins, that is best for the quadratic model of the loss here.</summary>
    private (double[] Change, double[] Shift) Direction(double[] weights, double[] margins, double l1, double l2)
    {
        double[] slope = new double[Count], curvature = new double[Count], shift = new double[Count];
        for (int i = 0; i < Count; i++)
        {
            double chance = 1 / (1 + Math.Exp(-margins[i]));
            slope[i] = chance - (_truth[i] ? 1 : 0);
            curvature[i] = Math.Max(chance * (1 - chance), 1e-6);
        }

        double[] change = new double[slots + 1];
        double[] bends = [.. _columns.Select(column => column.Sum(x => curvature[x.Row] * x.Value * x.Value))];
        double largest = double.PositiveInfinity;
        for (int sweep = 0; sweep < MostSweeps && largest > 1e-6; sweep++)
        {
            largest = 0;
            for (int j = 0; j <= slots; j++)
            {
                if (_columns[j].Count == 0)
                    continue;
                (double penalty1, double penalty2) = j < slots ? (l1, l2) : (0, 0);
                double at = weights[j] + change[j], bend = bends[j] + penalty2;
                double gradient = penalty2 * at;
                foreach ((int row, float value) in _columns[j])
                    gradient += value * (slope[row] + curvature[row] * shift[row]);
                double best = at - gradient / bend;
                best = Math.Sign(best) * Math.Max(Math.Abs(best) - penalty1 / bend, 0);
                double move = best - at;
                if (move == 0)
                    continue;
                change[j] += move;
                foreach ((int row, float value) in _columns[j])
                    shift[row] += move * value;
                largest = Math.Max(largest, Math.Abs(move) * Math.Sqrt(bend / Count));
            }
        }

        return (change, shift);
    }
}
