using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML.Benchmarks;

/// <summary>
/// TorchSharp as a good user writes it without this package: stock modules, stock optimizers, a scope for each step,
/// in this process and with the same libtorch.
/// </summary>
internal sealed class StockPeer(int threads) : SpeedPeer
{
    private readonly Dictionary<string, IReadOnlyDictionary<string, Tensor>> _files = [];

    /// <inheritdoc />
    public override string Name => "TorchSharp";

    /// <inheritdoc />
    public override IReadOnlyList<PeerSetting> Settings => threads == 1 ? [new(1)] : [new(threads), new(1)];

    /// <inheritdoc />
    public override SpeedAnswer Ask(JsonObject command, PeerSetting setting, int seed)
    {
        int before = get_num_threads();
        set_num_threads(setting.Threads);
        random.manual_seed(seed);
        try
        {
            using DisposeScope scope = NewDisposeScope();
            return command["work"]!.GetValue<string>() switch
            {
                "gpt" => StockGptTraining.Run(command, Tensors(command, "data")["tokens"]),
                "autoencoder" => StockTraining.Autoencoder(command, Tensors(command, "data")["rows"]),
                "vae" => StockTraining.Vae(command, Tensors(command, "data")["rows"]),
                "gan" => StockTraining.Gan(command, Tensors(command, "data")["rows"]),
                "image-gan" => StockTraining.ImageGan(command, Tensors(command, "data")["rows"]),
                "score" => StockDetector.Run(command, Tensors(command, "model"), Tensors(command, "data")["rows"]),
                "decode" => StockDecoder.Run(command, Tensors(command, "model")),
                string other => throw new InvalidOperationException($"There is no work '{other}'."),
            };
        }
        finally
        {
            set_num_threads(before);
        }
    }

    public override void Dispose()
    {
        foreach (Tensor tensor in _files.Values.SelectMany(file => file.Values))
            tensor.Dispose();
        base.Dispose();
    }

    // A safetensors file: eight bytes of the header's length, the header as JSON, the tensors.
    private IReadOnlyDictionary<string, Tensor> Tensors(JsonObject command, string name)
    {
        string path = command[name]!.GetValue<string>();
        if (_files.TryGetValue(path, out IReadOnlyDictionary<string, Tensor>? known))
            return known;
        byte[] file = File.ReadAllBytes(path);
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(file);
        using var header = JsonDocument.Parse(file.AsMemory(8, length));
        var tensors = new Dictionary<string, Tensor>();
        foreach (JsonProperty entry in header.RootElement.EnumerateObject().Where(e => e.Name != "__metadata__"))
        {
            int[] range = entry.Value.GetProperty("data_offsets").Deserialize<int[]>()!;
            long[] shape = entry.Value.GetProperty("shape").Deserialize<long[]>()!;
            Span<byte> bytes = file.AsSpan(8 + length + range[0], range[1] - range[0]);
            Tensor value = entry.Value.GetProperty("dtype").GetString() == "I64"
                ? tensor(MemoryMarshal.Cast<byte, long>(bytes).ToArray(), shape)
                : tensor(MemoryMarshal.Cast<byte, float>(bytes).ToArray(), shape);
            tensors.Add(entry.Name, value.DetachFromDisposeScope());
        }
        _files.Add(path, tensors);
        return tensors;
    }
}

/// <summary>The time of steps after the first few, and their losses, which are read when the clock has stopped.</summary>
internal sealed class StockClock(int skipped)
{
    private readonly Dictionary<string, List<Tensor>> _losses = [];
    private long _start = Stopwatch.GetTimestamp();
    private int _steps;

    /// <summary>Counts a step, whose losses stay in memory.</summary>
    public void Count(params (string Name, Tensor Value)[] losses)
    {
        foreach ((string name, Tensor value) in losses)
        {
            if (!_losses.TryGetValue(name, out List<Tensor>? values))
                _losses.Add(name, values = []);
            values.Add(value.detach().DetachFromDisposeScope());
        }
        if (++_steps == skipped)
            _start = Stopwatch.GetTimestamp();
    }

    /// <summary>What is answered.</summary>
    /// <param name="all">Whether the unit is the whole since the clock was made.</param>
    public SpeedAnswer Answer(bool all = false)
    {
        double seconds = Stopwatch.GetElapsedTime(_start).TotalSeconds;
        return new SpeedAnswer
        {
            Seconds = all ? seconds : seconds / (_steps - skipped),
            Losses = _losses.ToDictionary(loss => loss.Key, loss => loss.Value.Select(Read).ToArray()),
        };

        static double Read(Tensor loss)
        {
            using (loss)
                return loss.item<float>();
        }
    }
}

/// <summary>
/// AdamW with decay of matrices alone, a bounded gradient norm, and a learning rate that rises and then falls.
/// </summary>
internal sealed class StockRecipe : IDisposable
{
    private readonly TorchSharp.Modules.Parameter[] _parameters;
    private readonly optim.Optimizer _optimizer;

    // Read once: reading them in each step would cost the other side some percent of its small steps.
    private readonly double _peak, _floor, _steps, _warm, _clip;
    private readonly bool _isConstant;

    public StockRecipe(JsonObject of, params IEnumerable<nn.Module> modules)
    {
        (_peak, _floor, _clip) = (Number("rate"), Number("floor"), Number("clip"));
        (_steps, _warm) = (Number("steps"), Number("warmup_steps"));
        _isConstant = of["schedule"]!.GetValue<string>() == "constant";
        _parameters = [.. modules.SelectMany(m => m.parameters())];
        double decay = Number("decay"), beta1 = of["betas"]![0]!.GetValue<double>(), beta2 = of["betas"]![1]!.GetValue<double>();
        _optimizer = decay > 0
            ? optim.AdamW(
                [
                    new TorchSharp.Modules.AdamW.ParamGroup(
                        _parameters.Where(p => p.dim() > 1), new() { weight_decay = decay, beta1 = beta1, beta2 = beta2 }),
                    new TorchSharp.Modules.AdamW.ParamGroup(
                        _parameters.Where(p => p.dim() == 1), new() { weight_decay = 0, beta1 = beta1, beta2 = beta2 }),
                ],
                lr: _peak)
            : optim.Adam(_parameters, lr: _peak, beta1: beta1, beta2: beta2);

        double Number(string name) => of[name]!.Deserialize<double>();
    }

    /// <summary>Back from a loss, and one update.</summary>
    public void Move(Tensor loss, int step)
    {
        _optimizer.zero_grad();
        loss.backward();
        if (_clip > 0)
            nn.utils.clip_grad_norm_(_parameters, _clip);
        double rate = Rate(step);
        foreach (optim.ILearningRateController group in _optimizer.ParamGroups)
            group.LearningRate = rate;
        _optimizer.step();
    }

    public void Dispose() => _optimizer.Dispose();

    // Linear warm-up, then constant or half a cosine down to the floor.
    private double Rate(int step)
    {
        if (step < _warm)
            return _peak * (step + 1) / (_warm + 1);
        if (_isConstant)
            return _peak;
        double done = (step - _warm) / Math.Max(1, _steps - 1 - _warm);
        return _peak * (_floor + (1 - _floor) * 0.5 * (1 + Math.Cos(Math.PI * done)));
    }
}
