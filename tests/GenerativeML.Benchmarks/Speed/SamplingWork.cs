using System.Diagnostics;
using System.Text.Json.Nodes;

namespace GenerativeML.Benchmarks;

/// <summary>
/// Tokens of one text after another, from a GPT of random weights, elsewhere with a key-value cache as well.
/// </summary>
internal sealed class SamplingWork : SpeedWork
{
    private const int Compared = 3; // texts whose likeliest continuations must be equal

    private readonly DecodeConfiguration _configuration = DecodeConfiguration.Find("cpu");
    private readonly SpeedData _data;
    private readonly Lazy<TrainedGpt> _model;

    public SamplingWork(SpeedData data, int threads) => (_data, _model) = (data, new(() => _configuration.Load(WeightsFile(), threads)));

    /// <summary>The one that there is.</summary>
    public static SpeedWork Of(SpeedData data, int threads) => new SamplingWork(data, threads)
    {
        Name = "sampling",
        Title = "a token of one text, GPT of 4 layers, width 128, with cache",
        Wanted = new Dictionary<string, double> { ["TorchSharp"] = 2, ["PyTorch"] = 8 },
    };

    /// <inheritdoc />
    public override SpeedSample Ours(int seed)
    {
        TrainedGpt model = _model.Value;
        long start = Stopwatch.GetTimestamp();
        for (int text = 0; text < _configuration.Texts; text++)
        {
            int count = model.Stream([text], Options(temperature: 1, seed)).Count();
            if (count != _configuration.Length)
                throw new InvalidOperationException($"A text has {count} tokens.");
        }
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        IEnumerable<double> likeliest = Enumerable.Range(0, Compared)
            .SelectMany(token => model.Stream([token], Options(temperature: 0, seed)))
            .Select(token => (double)token.Id);
        return SpeedSample.Of(seconds / Tokens) with { Scores = [.. likeliest] };
    }

    /// <inheritdoc />
    public override SpeedSample Theirs(SpeedPeer peer, PeerSetting setting, int seed)
    {
        var command = new JsonObject
        {
            ["work"] = "decode",
            ["model"] = WeightsFile(),
            ["heads"] = _configuration.Network.Options.Heads,
            ["texts"] = _configuration.Texts,
            ["length"] = _configuration.Length,
            ["greedy"] = new JsonArray([.. Enumerable.Range(0, Compared).Select(token => (JsonNode)token)]),
        };
        SpeedAnswer answer = peer.Ask(command, setting, seed);
        return SpeedSample.Of(answer.Seconds) with { Scores = answer.Scores };
    }

    /// <inheritdoc />
    public override IReadOnlyList<Agreement> Compare(
        IReadOnlyList<SpeedSample> ours, IReadOnlyList<SpeedSample> theirs) =>
        [Agreement.OfScores("likeliest tokens", ours[^1].Scores, theirs[^1].Scores)];

    /// <inheritdoc />
    public override void Dispose()
    {
        if (_model.IsValueCreated)
            _model.Value.Dispose();
        base.Dispose();
    }

    private int Tokens => _configuration.Texts * _configuration.Length;

    private GenerationOptions Options(float temperature, int seed) =>
        new() { Temperature = temperature, MaxNewTokens = _configuration.Length, Seed = seed };

    private string WeightsFile() =>
        _data.File("gpt.safetensors", path => AtomicFile.Write(path, _configuration.Write));
}
