using System.Text.Json;
using System.Text.Json.Nodes;

namespace GenerativeML.Benchmarks;

/// <summary><c>tests/peers/speed_peer.py</c>, in as many processes as there are ways for threads to wait.</summary>
internal sealed class SpeedPeer : IDisposable
{
    private readonly Dictionary<string, PeerProcess> _processes = [];
    private readonly int _threads;

    public SpeedPeer(int threads) => _threads = threads;

    /// <summary>Does a work.</summary>
    /// <param name="command">Its name and what it needs.</param>
    /// <param name="setting">How.</param>
    /// <param name="seed">The seed of everything random.</param>
    /// <param name="bfloat16">Whether under autocast.</param>
    /// <exception cref="InvalidOperationException">The program failed.</exception>
    public SpeedAnswer Ask(JsonObject command, PeerSetting setting, int seed = 0, bool bfloat16 = false)
    {
        var whole = (JsonObject)command.DeepClone();
        whole["threads"] = setting.Threads;
        whole["seed"] = seed;
        whole["bf16"] = bfloat16;
        string waiting = setting.Waiting ?? "";
        if (!_processes.TryGetValue(waiting, out PeerProcess? process))
        {
            // With all threads, whatever the first work asks for: PyTorch cannot have more later than it began with.
            process = new PeerProcess("speed_peer.py", setting with { Threads = _threads });
            _processes.Add(waiting, process);
        }
        return JsonSerializer.Deserialize<SpeedAnswer>(process.Ask(whole.ToJsonString()), JsonSerializerOptions.Web)!;
    }

    public void Dispose()
    {
        foreach (PeerProcess process in _processes.Values)
            process.Dispose();
    }
}

/// <summary>What the program answers; of a work, only what belongs to it.</summary>
internal sealed record SpeedAnswer
{
    /// <summary>Seconds for a unit of the work.</summary>
    public double Seconds { get; init; }

    /// <summary>Each step's losses, by name.</summary>
    public IReadOnlyDictionary<string, double[]> Losses { get; init; } = new Dictionary<string, double[]>();

    /// <summary>The first scores.</summary>
    public IReadOnlyList<double> Scores { get; init; } = [];

    /// <summary>The version of PyTorch.</summary>
    public string? Torch { get; init; }

    /// <summary>The libraries of linear algebra that are loaded.</summary>
    public IReadOnlyList<string> Blas { get; init; } = [];

    /// <summary>Billions of operations a second in a product of two matrices of 1024 rows and columns.</summary>
    [System.Text.Json.Serialization.JsonPropertyName("gemm_gflops")]
    public double GemmGflops { get; init; }
}
