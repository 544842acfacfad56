using System.Text.Json;
using System.Text.Json.Nodes;

namespace GenerativeML.Benchmarks;

/// <summary>Somebody else who does the works: a side of the comparison.</summary>
internal abstract class SpeedPeer : IDisposable
{
    /// <summary>What it is called in the table.</summary>
    public abstract string Name { get; }

    /// <summary>The ways to run it. What is best depends on the work: each is tried, and the best is measured.</summary>
    public abstract IReadOnlyList<PeerSetting> Settings { get; }

    /// <summary>Does a work.</summary>
    /// <param name="command">Its name and what it needs; <c>tests/peers/speed_peer.py</c> says what there is.</param>
    /// <param name="setting">How.</param>
    /// <param name="seed">The seed of everything random.</param>
    /// <exception cref="InvalidOperationException">The program failed.</exception>
    public abstract SpeedAnswer Ask(JsonObject command, PeerSetting setting, int seed = 0);

    public virtual void Dispose() => GC.SuppressFinalize(this);
}

/// <summary>How another side is run.</summary>
/// <param name="Threads">Its threads.</param>
/// <param name="Waiting">The value of <c>OMP_WAIT_POLICY</c>, or null for OpenMP's own.</param>
internal sealed record PeerSetting(int Threads, string? Waiting = null)
{
    /// <inheritdoc />
    public override string ToString() =>
        $"{Threads} thread{(Threads > 1 ? "s" : "")}{(Waiting is null ? "" : $", OMP_WAIT_POLICY={Waiting}")}";
}

/// <summary>A program of <c>tests/peers</c>, in as many processes as there are ways for threads to wait.</summary>
/// <param name="name">What it is called in the table.</param>
/// <param name="program">The program's file name.</param>
/// <param name="threads">The most threads.</param>
internal class PythonSpeedPeer(string name, string program, int threads) : SpeedPeer
{
    private readonly Dictionary<(int, string?), PeerProcess> _processes = [];

    /// <inheritdoc />
    public override string Name => name;

    /// <summary>
    /// All threads or one, and with threads that wait for the next product by spinning for a while or by sleeping.
    /// Those that spin for ever would take the processor from the other side.
    /// </summary>
    public override IReadOnlyList<PeerSetting> Settings => threads == 1
        ? [new(1)]
        : [new(threads), new(threads, "passive"), new(1)];

    /// <inheritdoc />
    public override SpeedAnswer Ask(JsonObject command, PeerSetting setting, int seed)
    {
        var whole = (JsonObject)command.DeepClone();
        whole["threads"] = setting.Threads;
        whole["seed"] = seed;
        PeerSetting started = Started(setting);
        if (!_processes.TryGetValue((started.Threads, started.Waiting), out PeerProcess? process))
        {
            process = new PeerProcess(program, started);
            _processes.Add((started.Threads, started.Waiting), process);
        }
        return JsonSerializer.Deserialize<SpeedAnswer>(process.Ask(whole.ToJsonString()), JsonSerializerOptions.Web)!;
    }

    public override void Dispose()
    {
        foreach (PeerProcess process in _processes.Values)
            process.Dispose();
        base.Dispose();
    }

    /// <summary>How the process is started that works in a setting.</summary>
    protected virtual PeerSetting Started(PeerSetting setting) => setting;
}

/// <summary>PyTorch.</summary>
/// <param name="threads">The most threads.</param>
/// <param name="bfloat16">Whether training is under autocast.</param>
internal sealed class PyTorchPeer(int threads, bool bfloat16)
    : PythonSpeedPeer(bfloat16 ? "PyTorch bf16" : "PyTorch", "speed_peer.py", threads)
{
    private readonly int _threads = threads;

    /// <inheritdoc />
    public override SpeedAnswer Ask(JsonObject command, PeerSetting setting, int seed)
    {
        var whole = (JsonObject)command.DeepClone();
        whole["bf16"] = bfloat16;
        return base.Ask(whole, setting, seed);
    }

    // With all threads, whatever the first work asks for: PyTorch cannot have more later than it began with.
    protected override PeerSetting Started(PeerSetting setting) => setting with { Threads = _threads };
}

/// <summary>What is answered; of a work, only what belongs to it.</summary>
internal sealed record SpeedAnswer
{
    /// <summary>Seconds for a unit of the work.</summary>
    public double Seconds { get; init; }

    /// <summary>Each step's losses, by name.</summary>
    public IReadOnlyDictionary<string, double[]> Losses { get; init; } = new Dictionary<string, double[]>();

    /// <summary>The first scores, or the likeliest tokens.</summary>
    public IReadOnlyList<double> Scores { get; init; } = [];

    /// <summary>The version of PyTorch.</summary>
    public string? Torch { get; init; }

    /// <summary>The libraries of linear algebra that are loaded.</summary>
    public IReadOnlyList<string> Blas { get; init; } = [];

    /// <summary>Billions of operations a second in a product of two matrices of 1024 rows and columns.</summary>
    [System.Text.Json.Serialization.JsonPropertyName("gemm_gflops")]
    public double GemmGflops { get; init; }
}
