using System.Diagnostics;
using System.Text.Json.Nodes;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace GenerativeML.Benchmarks;

/// <summary>
/// Scores by the weights of an autoencoder that this package has trained: its error, and distances to stored rows, each
/// part in units of its usual size.
/// </summary>
internal sealed class StockDetector : nn.Module<Tensor, Tensor>
{
    private const int Few = 128; // stored rows that are asked for many
    private const int Near = 5; // neighbours that count
    private const double FarShare = 0.2;

    private readonly IReadOnlyList<Sequential> _networks;
    private readonly Tensor _mean, _scale, _memory, _squares, _few;
    private readonly double[] _parts;
    private readonly double? _level;
    private readonly bool _masks;

    private StockDetector(JsonObject command, IReadOnlyDictionary<string, Tensor> weights)
        : base(nameof(StockDetector))
    {
        int members = command["members"]!.GetValue<int>();
        _masks = command["masks"]!.GetValue<bool>();
        _level = command["level"]?.GetValue<double>();
        (_mean, _scale, _memory) = (weights["input_mean"], weights["input_scale"], weights["memory"]);
        _parts = [.. Enumerable.Range(0, 3).Select(i => (double)weights["part_weight"][i].item<float>())];
        _squares = _memory.square().sum([1L]);
        _few = _memory.narrow(0, 0, Math.Min(Few, _memory.shape[0]));
        bool isSilu = command["activation"]!.GetValue<string>() == "silu";
        _networks = [.. Enumerable.Range(0, members).Select(Network)];

        Sequential Network(int member)
        {
            var layers = new List<(string, nn.Module<Tensor, Tensor>)>();
            foreach (string stack in (string[])["encoder", "decoder"])
            {
                int depth = weights.Keys.Count(
                    k => k.StartsWith(stack + ".", StringComparison.Ordinal) && k.EndsWith(".weight", StringComparison.Ordinal));
                for (int i = 0; i < depth; i++)
                {
                    Tensor weight = weights[$"{stack}.{i}.weight"], bias = weights[$"{stack}.{i}.bias"];
                    if (members > 1)
                        (weight, bias) = (weight[member], bias[member, 0]);
                    Linear layer = nn.Linear(weight.shape[1], weight.shape[0]);
                    using (no_grad())
                    {
                        layer.weight!.copy_(weight);
                        layer.bias!.copy_(bias);
                    }
                    layers.Add(($"{layers.Count}", layer));
                    if (i + 1 < depth)
                        layers.Add(($"{layers.Count}", isSilu ? nn.SiLU() : nn.ReLU()));
                }
            }
            return nn.Sequential(layers);
        }
    }

    /// <summary>Scores rows in batches; of one row, as a service would, with a result that is a number.</summary>
    public static SpeedAnswer Run(JsonObject command, IReadOnlyDictionary<string, Tensor> weights, Tensor all)
    {
        int count = command["count"]!.GetValue<int>(), batch = command["batch"]!.GetValue<int>();
        int shown = command["shown"]!.GetValue<int>();
        using var model = new StockDetector(command, weights);
        model.eval();
        using IDisposable inference = inference_mode();
        float[] scores = new float[count];
        Tensor[] batches = all.narrow(0, 0, count).split(batch);
        Score(Math.Max(1, batches.Length / 10)); // warming up
        long start = Stopwatch.GetTimestamp();
        Score(batches.Length);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return new SpeedAnswer
        {
            Seconds = seconds / count,
            Scores = [.. scores.Take(shown).Select(s => (double)s)],
        };

        void Score(int number)
        {
            for (int i = 0; i < number; i++)
            {
                using TorchSharp.DisposeScope scope = NewDisposeScope();
                Tensor scored = model.call(batches[i]);
                if (batch == 1)
                    scores[i] = scored.item<float>();
                else
                    scored.data<float>().CopyTo(scores, i * batch);
            }
        }
    }

    public override Tensor forward(Tensor rows)
    {
        Tensor z = (rows - _mean) * _scale;
        z = z.clamp(-5, 5) + z.sign() * (z.abs() - 5).clamp_min(0).log1p();
        long width = z.shape[1];
        Tensor input = z;
        if (_masks || _level is not null)
        {
            var inputs = new List<Tensor> { z };
            if (_masks)
                inputs.Add(zeros_like(z));
            if (_level is { } level)
                inputs.Add(full(z.shape[0], 1, (float)level));
            input = cat(inputs, 1);
        }
        Tensor error = (_networks[0].call(input) - z).square();
        foreach (Sequential network in _networks.Skip(1))
            error = error + (network.call(input) - z).square();
        Tensor score = error.sum([1L]) * (_parts[0] / _networks.Count);
        if (_memory.shape[0] == 0)
            return score;
        Tensor distances = addmm(_squares, z, _memory.t(), beta: 1, alpha: -2);
        int near = (int)Math.Min(Near, _memory.shape[0] / 4);
        if (near > 0)
        {
            Tensor chosen = distances.topk(near + 1, 1, largest: false, sorted: false).indexes;
            Tensor exact = (z.unsqueeze(1) - _memory[chosen]).square().sum([2L]).sort(1).Values;
            // A stored row that is the row itself does not count; without one, the farthest goes.
            Tensor itself = exact.select(1, 0).lt(1e-6 * width);
            Tensor left = where(itself, exact.select(1, 0), exact.select(1, near));
            score = score + (exact.sum([1L]) - left) * (_parts[1] / near);
        }
        int far = (int)Math.Ceiling(FarShare * _few.shape[0]);
        // The row's own square was left out of the distances: it is the same for all stored rows.
        Tensor many = distances.narrow(1, 0, _few.shape[0]).topk(far, 1, largest: false, sorted: false).values.mean([1L]);
        return score + (many + z.square().sum([1L])).clamp_min(0) * _parts[2];
    }
}
