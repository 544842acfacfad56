using TorchSharp;

namespace GenerativeML.Torch.Tests;

/// <summary>A linear layer's gradients, cut into parts for any number of threads.</summary>
[TestClass]
public sealed class DenseStepTests
{
    private const int Rows = 600; // more than are laid out at a time

    [TestMethod]
    [DataRow(5, 7)]
    [DataRow(40, 100)]
    [DataRow(33, 300)]
    [DataRow(200, 65)]
    public unsafe void Gradients_are_their_sums_whatever_the_number_of_threads(int outputs, int inputs)
    {
        float[] dy = Numbers(Rows * outputs, 1), x = Numbers(Rows * inputs, 2);
        double[] weight = new double[outputs * inputs], bias = new double[outputs];
        for (int row = 0; row < Rows; row++)
        {
            for (int o = 0; o < outputs; o++)
            {
                double slope = dy[row * outputs + o];
                bias[o] += slope;
                for (int i = 0; i < inputs; i++)
                    weight[o * inputs + i] += slope * x[row * inputs + i];
            }
        }
        using DisposeScope scope = torch.NewDisposeScope();
        foreach (int threads in (int[])[1, 2, 3, 4, 6, 7])
        {
            torch.Tensor weights = torch.zeros(outputs, (long)inputs), biases = torch.zeros(outputs);
            TrainedArray weightArray = TrainedArray.Of(weights), biasArray = TrainedArray.Of(biases);
            var layer = new DenseStep(outputs, inputs);
            layer.Take(weightArray, biasArray);
            using var team = new WorkTeam(threads);
            fixed (float* slopes = dy, values = x)
            {
                nint from = (nint)slopes, to = (nint)values; // what is fixed cannot be captured
                team.Run(worker =>
                {
                    var scratch = new AlignedBuffer<float>(DenseStep.ScratchLength(inputs));
                    layer.Gradient((float*)from, (float*)to, Rows, team, worker, scratch.Address);
                });
            }
            for (int i = 0; i < weight.Length; i++)
                Assert.AreEqual(weight[i], weightArray.Gradients[i], 1e-3, $"weight {i}, {threads} threads");
            for (int i = 0; i < bias.Length; i++)
                Assert.AreEqual(bias[i], biasArray.Gradients[i], 1e-3, $"bias {i}, {threads} threads");
        }
    }

    private static float[] Numbers(int count, ulong seed)
    {
        var random = new SplitMix64(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)random.NextDouble() - 0.5f)];
    }
}
