using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using DetectorService;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.ML;

namespace GenerativeML.Tests.Serving;

/// <summary>Models of files: pooled, replaced when the file changes for a better one, and registered as services.</summary>
[TestClass]
public sealed class ServedModelTests
{
    private static readonly ServedModelOptions s_onRequest = new() { ReloadInterval = null };

    private static readonly ConcurrentDictionary<int, byte[]> s_detectors = [];

    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("genml-serving").FullName;
    private readonly Reading[] _rows = [.. Detector.Simulate(60, seed: 9), new() { Vibration = 1, Temperature = 40, Current = 0.4f }];
    private int _written;

    private string Zip => Path.Combine(_folder, "detector.zip");

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void Rows_alone_and_many_and_from_several_threads_get_what_the_model_gives()
    {
        WriteDetector(seed: 1);
        (float[] expected, ITransformer _) = Scores();
        using var served = new ServedModel<Reading, Verdict>(Zip, s_onRequest with { MaxIdleEngines = 2 });
        foreach (int many in new[] { 0, 1, 5, _rows.Length })
            CollectionAssert.AreEqual(expected[..many], served.Predict(_rows[..many]).Select(v => v.Score).ToArray());
        float[] alone = new float[_rows.Length];
        Parallel.For(0, 20 * _rows.Length, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
            Volatile.Write(ref alone[i % _rows.Length], served.Predict(_rows[i % _rows.Length]).Score));
        CollectionAssert.AreEqual(expected, alone);
        Assert.IsTrue(served.Predict(_rows[^1]).PredictedLabel);
        Assert.AreEqual(1, served.Loads);
        Assert.AreEqual(expected[0], served.Use(model =>
            _ml.Data.CreateEnumerable<Verdict>(model.Transform(_ml.Data.LoadFromEnumerable(_rows)), false).First().Score));
        served.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => served.Predict(_rows[0]));
    }

    [TestMethod]
    public void A_new_model_takes_over_once_its_file_is_at_rest_and_a_broken_one_is_logged_and_not_taken()
    {
        WriteDetector(seed: 1);
        var log = new LogLines();
        using var served = new ServedModel<Reading, Verdict>(Zip, s_onRequest, log);
        float first = served.Predict(_rows[0]).Score;
        served.Look();
        served.Look();
        Assert.AreEqual(1, served.Loads);

        byte[] good = Detected(seed: 2);
        (string What, Action Write)[] broken =
        [
            ("half of it", () => Write(good[..(good.Length / 2)])),
            ("noise", () => Write([.. Enumerable.Range(0, 500).Select(i => (byte)(i * 31))])),
            ("nothing in it", () => Write([])),
            ("no file", () => File.Delete(Zip)),
            ("other columns", () =>
            {
                IDataView data = _ml.Data.LoadFromEnumerable(_rows);
                _ml.Model.Save(_ml.Transforms.CopyColumns("Score", "Current").Fit(data), data.Schema, Zip);
                Touch();
            }),
        ];
        foreach ((string what, Action write) in broken)
        {
            write();
            log.Messages.Clear();
            served.Look();
            Assert.IsEmpty(log.Messages, what); // it may still be in the making
            served.Look();
            served.Look();
            (LogLevel level, Exception? why) = log.Messages.Single();
            Assert.AreEqual(LogLevel.Error, level, what);
            Assert.IsNotNull(why, what);
            Assert.AreEqual(first, served.Predict(_rows[0]).Score, what);
            Assert.AreEqual(1, served.Loads, what);
            Assert.Throws<Exception>(() => served.Reload(), what);
        }

        Write(good);
        served.Look();
        Assert.AreEqual(first, served.Predict(_rows[0]).Score);
        served.Look();
        Assert.AreEqual(2, served.Loads);
        Assert.AreEqual(Scores().Values[0], served.Predict(_rows[0]).Score);
        Assert.AreNotEqual(first, served.Predict(_rows[0]).Score);
        Assert.IsFalse(served.Reload());
        WriteDetector(seed: 1);
        Assert.IsTrue(served.Reload());
        Assert.AreEqual(3, served.Loads);
    }

    [TestMethod]
    public void What_is_in_use_is_disposed_when_the_last_has_let_go_and_not_before()
    {
        WriteDetector(seed: 1);
        List<Tracked> made = [];
        var watched = new WatchedModel<Tracked>(Zip, s_onRequest, new LogLines(), (_, _) =>
        {
            made.Add(new Tracked());
            return made[^1];
        });
        WatchedModel<Tracked>.Lease one = watched.Acquire(), other = watched.Acquire();
        Touch();
        Assert.IsTrue(watched.Reload());
        Assert.AreNotSame(one.Value, Use());
        one.Dispose();
        Assert.AreEqual(0, made[0].Disposed);
        other.Dispose();
        Assert.AreEqual(1, made[0].Disposed);
        WatchedModel<Tracked>.Lease last = watched.Acquire();
        watched.Dispose();
        watched.Dispose();
        Assert.AreEqual(0, made[1].Disposed);
        last.Dispose();
        Assert.AreEqual(1, made[1].Disposed);
        Touch();
        watched.Reload();
        Assert.AreEqual(1, made[2].Disposed, "loaded, but nobody is served any more");
        Assert.ThrowsExactly<ObjectDisposedException>(() => watched.Acquire());

        Tracked Use()
        {
            using WatchedModel<Tracked>.Lease lease = watched.Acquire();
            return lease.Value;
        }
    }

    [TestMethod]
    public void Rows_are_answered_by_one_model_or_the_other_while_files_are_replaced()
    {
        WriteDetector(seed: 1);
        HashSet<float> possible = [Scores().Values[0]];
        byte[] first = File.ReadAllBytes(Zip), second = Detected(seed: 2);
        Write(second);
        possible.Add(Scores().Values[0]);
        using var served = new ServedModel<Reading, Verdict>(Zip, s_onRequest);
        using var done = new CancellationTokenSource();
        using var begun = new CountdownEvent(3);
        Task[] asking = [.. Enumerable.Range(0, begun.InitialCount).Select(_ => Task.Run(() =>
        {
            begun.Signal();
            do
                Assert.Contains(served.Predict(_rows[0]).Score, possible);
            while (!done.IsCancellationRequested);
        }))];
        // On a busy machine a task may begin later than all files take to be replaced.
        begun.Wait();
        for (int i = 0; i < 10; i++)
        {
            Write(i % 2 == 0 ? first : second);
            served.Reload();
        }
        done.Cancel();
        Task.WaitAll(asking);
        Assert.AreEqual(11, served.Loads);
    }

    [TestMethod]
    public async Task A_timer_looks_by_itself()
    {
        WriteDetector(seed: 1);
        using var served = new ServedModel<Reading, Verdict>(Zip, new() { ReloadInterval = TimeSpan.FromMilliseconds(5) });
        WriteDetector(seed: 2);
        while (served.Loads == 1)
            await Task.Delay(5);
        Assert.AreEqual(Scores().Values[0], served.Predict(_rows[0]).Score);
    }

    [TestMethod]
    public async Task Services_have_keys_share_a_model_and_end_with_the_container()
    {
        WriteDetector(seed: 1);
        string other = Path.Combine(_folder, "other.zip"), gpt = Path.Combine(_folder, "gpt.zip"), bert = Path.Combine(_folder, "bert.zip");
        File.WriteAllBytes(other, Detected(seed: 2));
        IDataView texts = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 40).Select(i => new Line { Text = i % 2 == 0 ? "abba" : "baab" }));
        using var trained = _ml.Generative.Gpt(new()
        {
            TextColumnName = "Text", Layers = 1, Heads = 1, Width = 8, ContextLength = 8, Steps = 2,
        }).Fit(texts);
        _ml.Model.Save(trained, texts.Schema, gpt);
        using (var masked = _ml.Generative.MaskedLanguageModel(new()
        {
            TextColumnName = "Text", Layers = 1, Heads = 1, Width = 8, ContextLength = 8, Steps = 1,
        }).Fit(texts))
        {
            _ml.Model.Save(masked, texts.Schema, bert);
        }

        var services = new ServiceCollection();
        services.AddLogging();
        services.AddGenerativeModel<Reading, Verdict>(Zip).AddGenerativeModel<Reading, Verdict>(other, key: "other");
        services.AddLanguageModel(gpt, new() { ModelId = "writer" }).AddEmbeddingModel(bert, key: "reader");
        services.AddLanguageModel(bert, key: "wrong").AddEmbeddingModel(Zip, key: "wrong");
        ServedModel<Reading, Verdict> detector;
        IChatClient client;
        await using (ServiceProvider provider = services.BuildServiceProvider(validateScopes: true))
        {
            detector = provider.GetRequiredService<ServedModel<Reading, Verdict>>();
            var second = provider.GetRequiredKeyedService<ServedModel<Reading, Verdict>>("other");
            Assert.AreSame(detector, provider.GetRequiredService<ServedModel<Reading, Verdict>>());
            Assert.AreNotEqual(detector.Predict(_rows[0]).Score, second.Predict(_rows[0]).Score);

            client = provider.GetRequiredService<IChatClient>();
            ChatOptions options = new() { Seed = 3, MaxOutputTokens = 9 };
            GeneratedText expected = trained.Generate("ab", new() { Seed = 3, MaxNewTokens = 9 });
            ChatResponse response = await client.GetResponseAsync("ab", options);
            Assert.AreEqual((expected.Text, "writer"), (response.Text, response.ModelId));
            Assert.AreEqual(expected.Text, (await client.GetStreamingResponseAsync("ab", options).ToChatResponseAsync()).Text);
            Assert.AreEqual("writer", client.GetService<ChatClientMetadata>()!.DefaultModelId);
            var embeddings = provider.GetRequiredService<IEmbeddingGenerator<string, Embedding<float>>>();
            Assert.AreSame(client.GetService<GptTransformer>(), embeddings.GetService<GptTransformer>(), "two models");
            var reader = provider.GetRequiredKeyedService<IEmbeddingGenerator<string, Embedding<float>>>("reader");
            Assert.AreEqual(8, (await reader.GenerateVectorAsync("ab")).Length);
            Assert.IsNotNull(reader.GetService<MaskedLanguageModelTransformer>());
            StringAssert.Contains(
                Assert.ThrowsExactly<InvalidOperationException>(() => provider.GetRequiredKeyedService<IChatClient>("wrong")).Message,
                "continues");
        }
        Assert.ThrowsExactly<ObjectDisposedException>(() => detector.Predict(_rows[0]));
        await Assert.ThrowsExactlyAsync<ObjectDisposedException>(() => client.GetResponseAsync("ab"));
        Assert.Throws<ArgumentException>(() => services.AddGenerativeModel<Reading, Verdict>(" "));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => services.AddLanguageModel(gpt, options: new() { ReloadInterval = TimeSpan.Zero }));

        // The sample serves both by HTTP.
        await using WebApplication app = Service.Build(["--urls", "http://127.0.0.1:0"], Zip, gpt);
        await app.StartAsync();
        using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        float[] scores = Scores().Values;
        Verdict[] verdicts = await Ask<Verdict[]>("/score", _rows);
        CollectionAssert.AreEqual(scores, verdicts.Select(v => v.Score).ToArray());
        Assert.IsTrue(verdicts[^1].PredictedLabel);
        Assert.HasCount(3, verdicts[^1].Why);
        Assert.AreEqual(scores[4], (await Ask<Verdict[]>("/score", _rows[4..5])).Single().Score);
        using HttpResponseMessage text = await http.PostAsJsonAsync("/generate", new Request("ab", 9, 1, Seed: 3));
        Assert.AreEqual(trained.Generate("ab", new() { Seed = 3, MaxNewTokens = 9 }).Text, await text.Content.ReadAsStringAsync());
        using HttpResponseMessage refused = await http.PostAsJsonAsync("/generate", new Request("ab", 0));
        Assert.AreEqual(HttpStatusCode.BadRequest, refused.StatusCode);

        async Task<T> Ask<T>(string path, object body)
        {
            using HttpResponseMessage response = await http.PostAsJsonAsync(path, body);
            response.EnsureSuccessStatusCode();
            return (await response.Content.ReadFromJsonAsync<T>(JsonSerializerOptions.Web))!;
        }
    }

    private void WriteDetector(int seed) => Write(Detected(seed));

    // Another file each time, whatever the file system's clock says.
    private void Write(byte[] bytes)
    {
        File.WriteAllBytes(Zip, bytes);
        Touch();
    }

    private void Touch() => File.SetLastWriteTimeUtc(Zip, new DateTime(2026, 1, 1).AddMinutes(++_written));

    // Trained once for all tests.
    private static byte[] Detected(int seed) => s_detectors.GetOrAdd(seed, static seed =>
    {
        string path = Path.GetTempFileName();
        Detector.Train(path, rows: 200, seed, epochs: 2);
        byte[] bytes = File.ReadAllBytes(path);
        File.Delete(path);
        return bytes;
    });

    private (float[] Values, ITransformer Model) Scores()
    {
        ITransformer model = _ml.Model.Load(Zip, out _);
        return (Conformance.OnnxFiles.Column(model.Transform(_ml.Data.LoadFromEnumerable(_rows)), "Score"), model);
    }

    private sealed class Line
    {
        public string Text { get; set; } = "";
    }

    private sealed class Tracked : IDisposable
    {
        public int Disposed { get; private set; }

        public void Dispose() => Disposed++;
    }

    private sealed class LogLines : ILogger
    {
        public List<(LogLevel, Exception?)> Messages { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Messages.Add((logLevel, exception));
    }
}
