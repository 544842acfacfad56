using System.Globalization;
using System.Text.Json;

namespace GenerativeML.Benchmarks;

/// <summary>The same work in Python: <c>tests/peers/decode_peer.py</c>.</summary>
internal sealed class DecodePeer(string weights, GptOptions options, PeerSetting setting) : IDisposable
{
    private readonly PeerProcess _process = new(
        "decode_peer.py", setting, weights, Text(options.Heads), options.Gelu == GeluForm.Tanh ? "tanh" : "none",
        Text(setting.Threads));

    /// <summary>The likeliest continuation of a token.</summary>
    public int[] Greedy(int token, int count) => Ask<int[]>($"greedy {Text(token)} {Text(count)}");

    /// <summary>Seconds for drawing texts.</summary>
    public double Seconds(int texts, int count) => Ask<double>($"time {Text(texts)} {Text(count)}");

    public void Dispose() => _process.Dispose();

    private T Ask<T>(string command) => JsonSerializer.Deserialize<T>(_process.Ask(command))!;

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
