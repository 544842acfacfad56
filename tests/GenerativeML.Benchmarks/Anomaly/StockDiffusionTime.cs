using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace GenerativeML.Benchmarks;

/// <summary>
/// Diffusion time estimation as published (Livernoche 2024, DTE-C), in plain TorchSharp: a network that learns to tell in
/// which of seven stretches of a diffusion a row is, and takes rows for odd that seem to be late in it.
/// </summary>
internal static class StockDiffusionTime
{
    private const int Times = 400, Stretches = 7, Epochs = 400, Batch = 64;
    private const double LeastBeta = 1e-4, MostBeta = 0.01, LearningRate = 1e-4, WeightDecay = 5e-4, Dropout = 0.5;

    private static readonly int[] s_hidden = [256, 512, 256];

    /// <summary>Trains on rows, and says of others what their mean stretch is.</summary>
    public static float[] Scores(IReadOnlyList<float[]> train, IReadOnlyList<float[]> test, int seed)
    {
        using TorchSharp.DisposeScope all = NewDisposeScope();
        random.manual_seed(seed);
        using Sequential network = nn.Sequential(Layers(train[0].Length));
        using var optimizer = optim.Adam(network.parameters(), LearningRate, weight_decay: WeightDecay);
        Tensor rows = Rows(train), levels = Levels();
        for (int epoch = 0; epoch < Epochs; epoch++)
        {
            using TorchSharp.DisposeScope scope = NewDisposeScope();
            foreach (Tensor chosen in randperm(train.Count).split(Batch))
            {
                using TorchSharp.DisposeScope step = NewDisposeScope();
                Tensor clean = rows[chosen], time = randint(Times, clean.shape[0]);
                Tensor noisy = clean.add(randn_like(clean).mul(levels[time].unsqueeze(1)));
                Tensor stretch = time.mul(Stretches).div(Times, RoundingMode.floor).to(int64);
                optimizer.zero_grad();
                F.cross_entropy(network.call(noisy), stretch).backward();
                optimizer.step();
            }
        }
        network.eval();
        using (no_grad())
            return F.softmax(network.call(Rows(test)), 1).matmul(arange(Stretches, dtype: float32)).data<float>().ToArray();
    }

    private static IEnumerable<(string, nn.Module<Tensor, Tensor>)> Layers(int width)
    {
        for (int i = 0; i < s_hidden.Length; width = s_hidden[i++])
        {
            yield return ($"dense{i}", nn.Linear(width, s_hidden[i]));
            yield return ($"relu{i}", nn.ReLU());
            yield return ($"dropout{i}", nn.Dropout(Dropout));
        }
        yield return ("stretches", nn.Linear(width, Stretches));
    }

    // The noise's deviation at each time, which is added to rows that stay as large as they are.
    private static Tensor Levels() => ones(Times).sub(ones(Times).sub(linspace(LeastBeta, MostBeta, Times)).cumprod(0)).sqrt();

    private static Tensor Rows(IReadOnlyList<float[]> rows) => tensor([.. rows.SelectMany(row => row)], [rows.Count, rows[0].Length]);
}
