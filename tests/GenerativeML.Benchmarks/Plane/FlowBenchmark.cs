using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Microsoft.ML;
using TorchSharp;
using TorchSharp.Modules;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>flow</c>: the log-likelihood of held-back digits, dequantised and in logit space as Papamakarios 2017 has MNIST, by a
/// flow and by a plain RealNVP of stock TorchSharp modules, of the same steps, hidden layers, batches and epochs.
/// </summary>
internal static class FlowBenchmark
{
    private const int Pixels = 64, Levels = 17;
    private const double Edge = 1e-6; // as published, so that the ends of the range have a logit

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<DirectoryInfo> data = new("--data") { Description = "The folder of optdigits-train.csv and optdigits-test.csv.", Required = true };
        Option<int> epochs = new("--epochs") { Description = "Passes over the rows.", DefaultValueFactory = _ => 30 };
        Option<string?> options = new("--options") { Description = """Options other than the defaults, as JSON: '{"Autoregressive":true}'.""" };
        Option<bool> peer = new("--peer") { Description = "Train the plain RealNVP, too." };
        Command command = new("flow", "The log-likelihood of digits by a normalising flow.") { data, epochs, options, peer };
        command.SetAction(parsed =>
        {
            float[][] train = Read(parsed.GetRequiredValue(data), "train", 1), test = Read(parsed.GetRequiredValue(data), "test", 2);
            NormalizingFlowOptions chosen = ChosenOptions.Read<NormalizingFlowOptions>(parsed.GetValue(options))
                with { Epochs = parsed.GetValue(epochs) };
            Show("ours", () => Ours(train, test, chosen));
            if (parsed.GetValue(peer))
                Show("plain TorchSharp", () => Peer(train, test, chosen));
        });
        return command;
    }

    private static void Show(string name, Func<double> measure)
    {
        var clock = Stopwatch.StartNew();
        Console.WriteLine($"{name,-18} {measure(),9:F2} nats a test row, {clock.Elapsed.TotalSeconds:F1} s");
    }

    private static float[][] Read(DirectoryInfo folder, string part, ulong seed)
    {
        var random = new SplitMix64(seed);
        return [.. File.ReadLines(Path.Combine(folder.FullName, $"optdigits-{part}.csv")).Select(line => line.Split(',')
            .Take(Pixels).Select(value =>
            {
                double share = (int.Parse(value, CultureInfo.InvariantCulture) + random.NextDouble()) / Levels;
                double inside = Edge + (1 - 2 * Edge) * share;
                return (float)Math.Log(inside / (1 - inside));
            }).ToArray())];
    }

    private static double Ours(float[][] train, float[][] test, NormalizingFlowOptions options)
    {
        var ml = new MLContext(1);
        using VectorGenerator flow = ml.Generative.NormalizingFlow(options).Fit(VectorRows.View(ml, train, Pixels));
        return -VectorRows.Singles(flow.Transform(VectorRows.View(ml, test, Pixels)), "Score").Average();
    }

    private static double Peer(float[][] train, float[][] test, NormalizingFlowOptions options)
    {
        const int Batch = 128;
        torch.manual_seed(1);
        var random = new Random(1);
        torch.Tensor all = torch.tensor([.. train.SelectMany(row => row)], [train.Length, Pixels]);
        torch.Tensor mean = all.mean([0L]), deviation = all.std(0, unbiased: false);
        torch.Tensor rows = all.Minus(mean).div(deviation);
        var steps = new List<(torch.Tensor Kept, Sequential Network)>();
        for (int k = 0; k < options.Steps; k++)
        {
            int[] places = [.. Enumerable.Range(0, Pixels)];
            random.Shuffle(places);
            float[] kept = new float[Pixels];
            foreach (int j in places[..(Pixels / 2)])
                kept[j] = 1;
            torch.Tensor mask = k % 2 == 0 ? torch.tensor(kept) : torch.ones(Pixels).Minus(steps[k - 1].Kept);
            int[] widths = [Pixels, .. options.HiddenLayers, 2 * Pixels];
            var layers = new List<torch.nn.Module<torch.Tensor, torch.Tensor>>();
            for (int i = 0; i + 1 < widths.Length; i++)
            {
                layers.Add(torch.nn.Linear(widths[i], widths[i + 1]));
                if (i + 2 < widths.Length)
                    layers.Add(torch.nn.SiLU());
            }
            steps.Add((mask, torch.nn.Sequential(layers)));
        }
        using Adam optimizer = torch.optim.Adam(steps.SelectMany(s => s.Network.parameters()), 1e-3);
        for (int epoch = 0; epoch < options.Epochs; epoch++)
        {
            torch.Tensor order = torch.randperm(train.Length);
            for (int first = 0; first + Batch <= train.Length; first += Batch)
            {
                using DisposeScope scope = torch.NewDisposeScope();
                optimizer.zero_grad();
                LogLikelihood(rows.index_select(0, order.narrow(0, first, Batch))).mean().neg().backward();
                optimizer.step();
            }
        }
        using (torch.no_grad())
        {
            torch.Tensor held = torch.tensor([.. test.SelectMany(row => row)], [test.Length, Pixels]).Minus(mean).div(deviation);
            return LogLikelihood(held).mean().item<float>() - deviation.log().sum().item<float>();
        }

        torch.Tensor LogLikelihood(torch.Tensor x)
        {
            torch.Tensor sum = torch.zeros(x.shape[0]);
            foreach ((torch.Tensor kept, Sequential network) in steps)
            {
                torch.Tensor both = network.call(x.mul(kept)), moved = torch.ones_like(kept).Minus(kept);
                torch.Tensor scale = both.narrow(1, 0, Pixels).tanh().mul(moved), shift = both.narrow(1, Pixels, Pixels).mul(moved);
                x = x.mul(scale.exp()).Plus(shift);
                sum = sum.Plus(scale.sum(1L));
            }
            return sum.Minus(x.Squared().sum(1L).Scaled(0.5)).Plus(-0.5 * Pixels * Math.Log(2 * Math.PI));
        }
    }
}
