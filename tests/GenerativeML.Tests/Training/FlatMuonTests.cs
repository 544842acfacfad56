using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public class FlatMuonTests
{
    [TestMethod]
    [DataRow(4, 4)]
    [DataRow(4, 7)] // as a whole
    [DataRow(3, 9)] // by its smaller product
    [DataRow(9, 3)]
    public void Singular_values_become_about_one_and_singular_vectors_stay(int rows, int columns)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor matrices = new SeededRandom(torch.CPU, 1).Normal([2, rows, columns]);
        torch.Tensor made = UpdateScripts.Orthogonalize(matrices);
        for (int n = 0; n < 2; n++)
        {
            double[,] g = Matrix(matrices[n]), o = Matrix(made[n]);
            double[,] expected = Odd(g);
            for (int i = 0; i < rows; i++)
            {
                for (int j = 0; j < columns; j++)
                    Assert.AreEqual(expected[i, j], o[i, j], 1e-4);
            }
            // The squares of the singular values are the eigenvalues of the smaller product; their sum is its trace.
            double trace = 0;
            foreach (double value in o)
                trace += value * value;
            Assert.AreEqual(Math.Min(rows, columns), trace, 0.35 * Math.Min(rows, columns));
        }
    }

    [TestMethod]
    public void Small_singular_values_of_a_long_matrix_are_lifted_as_exactly_as_32_bits_allow()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor sizes = torch.tensor(new[] { 1f, 1e-1f, 1e-2f, 1e-3f }).view(1, 4, 1);
        torch.Tensor matrix = new SeededRandom(torch.CPU, 3).Normal([1, 4, 16]).mul(sizes);
        double[,] expected = Odd(Matrix(matrix[0])), found = Matrix(UpdateScripts.Orthogonalize(matrix)[0]);
        // What rounding leaves of the product, half of 2⁻²³, grows as small squares do: by 3.4445² in each of four rounds.
        double rounding = Math.Pow(2, -24) * Math.Pow(3.4445, 8);
        for (int i = 0; i < 4; i++)
        {
            for (int j = 0; j < 16; j++)
                Assert.AreEqual(expected[i, j], found[i, j], rounding);
        }
    }

    [TestMethod]
    public void A_step_is_the_orthogonalised_momentum_and_AdamW_for_the_rest()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var random = new SeededRandom(torch.CPU, 2);
        torch.Tensor stacked = random.Normal([6, 2]).requires_grad_(); // three of 2 × 2
        torch.Tensor tall = random.Normal([8, 1, 1, 2]).requires_grad_(); // of a convolution: a filter in each row
        torch.Tensor bias = random.Normal([3]).requires_grad_();
        float[] before = TinyGpt.Values(stacked), beforeTall = TinyGpt.Values(tall), beforeBias = TinyGpt.Values(bias);
        var settings = new MuonSettings([new(stacked, 3), new(tall)], RateScale: 4, WeightDecay: 0.5);
        using var optimizer = new FlatOptimizer([bias, stacked, tall], weightDecay: 0, clipNorm: 0, muon: settings);
        float[][] gradients =
        [
            TinyGpt.Values(random.Normal([12])),
            TinyGpt.Values(random.Normal([16])),
            TinyGpt.Values(random.Normal([3])),
        ];
        stacked.grad!.view(-1).copy_(torch.tensor(gradients[0]));
        tall.grad!.view(-1).copy_(torch.tensor(gradients[1]));
        bias.grad!.view(-1).copy_(torch.tensor(gradients[2]));
        optimizer.Step(rate: 0.01);

        const double muon = 0.04, kept = 1 - (muon * 0.5);
        float[] after = TinyGpt.Values(stacked);
        for (int part = 0; part < 3; part++)
        {
            double[,] direction = Odd(Matrix(gradients[0].AsSpan(part * 4, 4), 2, 2));
            for (int i = 0; i < 4; i++)
            {
                int at = (part * 4) + i;
                Assert.AreEqual((kept * before[at]) - (muon * direction[i / 2, i % 2]), after[at], 1e-5);
            }
        }
        double[,] tallDirection = Odd(Matrix(gradients[1], 8, 2));
        float[] afterTall = TinyGpt.Values(tall);
        for (int i = 0; i < 16; i++)
            Assert.AreEqual((kept * beforeTall[i]) - (2 * muon * tallDirection[i / 2, i % 2]), afterTall[i], 1e-5);
        float[] afterBias = TinyGpt.Values(bias);
        for (int i = 0; i < 3; i++) // Adam's first step has the size of the rate
            Assert.AreEqual(beforeBias[i] - (0.01 * Math.Sign(gradients[2][i])), afterBias[i], 1e-5);
    }

    /// <summary>Five times a·X + b·XXᵀX + c·(XXᵀ)²X of X over its norm, in double precision, by loops.</summary>
    private static double[,] Odd(double[,] g)
    {
        double norm = 0;
        foreach (double value in g)
            norm += value * value;
        double[,] x = Sum(g, 1 / Math.Sqrt(norm), g, 0);
        for (int step = 0; step < 5; step++)
        {
            double[,] square = Product(x, Transposed(x));
            double[,] cubed = Product(square, x);
            x = Sum(Sum(x, 3.4445, cubed, -4.775), 1, Product(square, cubed), 2.0315);
        }
        return x;
    }

    private static double[,] Product(double[,] a, double[,] b)
    {
        var c = new double[a.GetLength(0), b.GetLength(1)];
        for (int i = 0; i < a.GetLength(0); i++)
            for (int j = 0; j < b.GetLength(1); j++)
                for (int k = 0; k < b.GetLength(0); k++)
                    c[i, j] += a[i, k] * b[k, j];
        return c;
    }

    private static double[,] Transposed(double[,] a)
    {
        var t = new double[a.GetLength(1), a.GetLength(0)];
        for (int i = 0; i < a.GetLength(0); i++)
            for (int j = 0; j < a.GetLength(1); j++)
                t[j, i] = a[i, j];
        return t;
    }

    private static double[,] Sum(double[,] a, double x, double[,] b, double y)
    {
        var c = new double[a.GetLength(0), a.GetLength(1)];
        for (int i = 0; i < a.GetLength(0); i++)
            for (int j = 0; j < a.GetLength(1); j++)
                c[i, j] = (x * a[i, j]) + (y * b[i, j]);
        return c;
    }

    private static double[,] Matrix(torch.Tensor tensor) =>
        Matrix(TinyGpt.Values(tensor), (int)tensor.shape[0], (int)tensor.shape[1]);

    private static double[,] Matrix(ReadOnlySpan<float> values, int rows, int columns)
    {
        var matrix = new double[rows, columns];
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                matrix[i, j] = values[(i * columns) + j];
        return matrix;
    }
}
