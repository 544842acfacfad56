using Microsoft.Extensions.AI;
using Microsoft.ML;

namespace GenerativeML.Tests.Serving;

/// <summary>What a client of conversations promises, whatever stands behind it; and how requests reach the model.</summary>
[TestClass]
public sealed class ChatClientTests
{
    private static readonly GenerationOptions Greedy = new() { Temperature = 0 };

    // Says a text, whatever the prompt of one token, and ends the document.
    private readonly TrainedGpt _saying = ScriptedGpt.Model(257, [.. Bytes().Encode("one 😀 STOP two"), 256]);
    private readonly TrainedGpt _random = RandomGpt.Model(RandomGpt.Network(vocabulary: 257));

    [TestCleanup]
    public void Cleanup()
    {
        _saying.Dispose();
        _random.Dispose();
    }

    [TestMethod]
    public async Task Streaming_equals_non_streaming_and_both_the_model_itself()
    {
        var model = Transformer(_random);
        using IChatClient client = model.AsChatClient();
        foreach (string prompt in (string[])["a", "", "longer than the window of this model", "日本"])
        {
            for (int seed = 0; seed < 5; seed++)
            {
                ChatOptions options = new()
                {
                    Seed = seed, MaxOutputTokens = 40, Temperature = 1.5f, TopK = 90, TopP = 0.9f, FrequencyPenalty = 0.5f,
                    PresencePenalty = 0.25f, StopSequences = ["q", "ab"],
                };
                GeneratedText expected = model.Generate(prompt, new()
                {
                    Seed = seed, MaxNewTokens = 40, Temperature = 1.5f, TopK = 90, TopP = 0.9f, FrequencyPenalty = 0.5f,
                    PresencePenalty = 0.25f, StopStrings = ["q", "ab"],
                });
                ChatResponse whole = await client.GetResponseAsync(prompt, options);
                List<ChatResponseUpdate> updates = await All(client.GetStreamingResponseAsync(prompt, options));
                ChatResponse joined = updates.ToChatResponse();
                foreach (ChatResponse response in new[] { whole, joined })
                {
                    Assert.AreEqual(expected.Text, response.Text);
                    Assert.AreEqual(
                        expected.FinishReason == FinishReason.Length ? ChatFinishReason.Length : ChatFinishReason.Stop,
                        response.FinishReason);
                    Assert.AreEqual(Math.Max(1, Bytes().Encode(prompt).Length), response.Usage!.InputTokenCount);
                    Assert.AreEqual(expected.Tokens.Count, response.Usage.OutputTokenCount);
                    Assert.AreEqual(
                        response.Usage.InputTokenCount + response.Usage.OutputTokenCount, response.Usage.TotalTokenCount);
                    Assert.AreEqual("gpt", response.ModelId);
                    if (expected.Text.Length > 0)
                        Assert.AreEqual(ChatRole.Assistant, response.Messages.Single().Role);
                }
                Assert.HasCount(1, updates.Select(u => u.ResponseId).Distinct().ToArray());
                Assert.IsTrue(updates.SkipLast(1).All(u => u.FinishReason is null && u.Text.Length > 0));
            }
        }
    }

    [TestMethod]
    public async Task Stop_sequences_the_end_of_a_document_and_the_most_tokens_end_a_response()
    {
        using IChatClient client = Transformer(_saying).AsChatClient(new() { Generation = Greedy });
        ChatResponse response = await client.GetResponseAsync("?");
        Assert.AreEqual(("one 😀 STOP two", ChatFinishReason.Stop), (response.Text, response.FinishReason));
        Assert.AreEqual(17, response.Usage!.OutputTokenCount); // bytes of UTF-8
        response = await client.GetResponseAsync("?", new() { StopSequences = ["STOP"] });
        Assert.AreEqual(("one 😀 ", ChatFinishReason.Stop), (response.Text, response.FinishReason));
        Assert.AreEqual(13, response.Usage!.OutputTokenCount);
        response = await client.GetResponseAsync("?", new() { MaxOutputTokens = 3 });
        Assert.AreEqual(("one", ChatFinishReason.Length), (response.Text, response.FinishReason));
        // A request's stop sequences are further ones.
        using IChatClient stopping = Transformer(_saying).AsChatClient(
            new() { Generation = Greedy with { StopStrings = ["😀"] } });
        Assert.AreEqual("one ", (await stopping.GetResponseAsync("?", new() { StopSequences = ["two"] })).Text);
        List<ChatResponseUpdate> pieces = await All(client.GetStreamingResponseAsync("?"));
        CollectionAssert.Contains(pieces.Select(p => p.Text).ToArray(), "😀");
    }

    [TestMethod]
    public async Task An_empty_prompt_is_a_documents_beginning_or_an_error_at_once()
    {
        using IChatClient client = Transformer(_saying).AsChatClient(new() { Generation = Greedy });
        Assert.AreEqual("one", (await client.GetResponseAsync([], new() { MaxOutputTokens = 3 })).Text);
        Assert.AreEqual(1, (await client.GetResponseAsync("", new() { MaxOutputTokens = 3 })).Usage!.InputTokenCount);
        using IChatClient none = Transformer(_saying, endOfText: false).AsChatClient();
        StringAssert.Contains((await Assert.ThrowsExactlyAsync<ArgumentException>(() => none.GetResponseAsync(""))).Message, "empty");
        Assert.ThrowsExactly<ArgumentException>(() => none.GetStreamingResponseAsync([]));
        Assert.ThrowsExactly<ArgumentNullException>(
            () => none.GetStreamingResponseAsync((IEnumerable<ChatMessage>)null!));
    }

    [TestMethod]
    public async Task A_request_can_be_cancelled_before_and_while_it_streams()
    {
        using IChatClient client = Transformer(_random).AsChatClient(
            new() { Generation = new() { LogitBias = new Dictionary<int, float> { [256] = float.NegativeInfinity } } });
        ChatOptions endless = new() { MaxOutputTokens = 10_000_000, Seed = 1 }; // for minutes: on a busy machine a timer may be late
        await Assert.ThrowsAsync<OperationCanceledException>(
            () => client.GetResponseAsync("a", endless, new CancellationToken(canceled: true)));
        using var soon = new CancellationTokenSource(50);
        await Assert.ThrowsAsync<OperationCanceledException>(() => client.GetResponseAsync("a", endless, soon.Token));
        using var source = new CancellationTokenSource();
        int pieces = 0;
        await Assert.ThrowsAsync<OperationCanceledException>(async () =>
        {
            await foreach (ChatResponseUpdate _ in client.GetStreamingResponseAsync("a", endless, source.Token))
            {
                if (++pieces == 2)
                    await source.CancelAsync();
            }
        });
        Assert.AreEqual(2, pieces);
        Assert.AreNotEqual(0, (await client.GetResponseAsync("a", new() { MaxOutputTokens = 2 })).Usage!.TotalTokenCount);
    }

    [TestMethod]
    public async Task Requests_of_several_threads_are_answered_as_one_by_one()
    {
        using IChatClient client = Transformer(_random).AsChatClient();
        ChatOptions[] options = [.. Enumerable.Range(0, 24).Select(i => new ChatOptions { Seed = i, MaxOutputTokens = 30 })];
        string[] together = await Task.WhenAll(options.Select(async (o, i) => i % 2 == 0
            ? (await client.GetResponseAsync("a", o)).Text
            : (await client.GetStreamingResponseAsync("a", o).ToChatResponseAsync()).Text));
        for (int i = 0; i < options.Length; i++)
            Assert.AreEqual((await client.GetResponseAsync("a", options[i])).Text, together[i]);
    }

    [TestMethod]
    public async Task A_disposed_client_answers_no_more_and_leaves_the_model_as_it_is()
    {
        var model = Transformer(_saying);
        IChatClient client = model.AsChatClient(new() { Generation = Greedy });
        client.Dispose();
        client.Dispose();
        await Assert.ThrowsExactlyAsync<ObjectDisposedException>(() => client.GetResponseAsync("?"));
        Assert.ThrowsExactly<ObjectDisposedException>(() => client.GetStreamingResponseAsync("?"));
        Assert.AreEqual("one", model.Generate("?", Greedy with { MaxNewTokens = 3 }).Text);
    }

    [TestMethod]
    public void A_client_names_its_model_and_what_stands_behind_it()
    {
        var model = Transformer(_saying);
        using IChatClient client = model.AsChatClient(new() { ModelId = "writer" });
        var metadata = client.GetService<ChatClientMetadata>()!;
        Assert.AreEqual(("GenerativeML", "writer"), (metadata.ProviderName, metadata.DefaultModelId));
        Assert.AreSame(model, client.GetService<GptTransformer>());
        Assert.AreSame(model.Tokenizer, client.GetService<Microsoft.ML.Tokenizers.Tokenizer>());
        Assert.AreSame(client, client.GetService<IChatClient>());
        Assert.IsNull(client.GetService<IChatClient>("key"));
        Assert.IsNull(client.GetService<string>());
    }

    [TestMethod]
    public async Task The_template_sees_all_messages_and_the_default_joins_their_texts()
    {
        List<string> prompts = [];
        var model = Transformer(_random);
        using IChatClient client = model.AsChatClient(new()
        {
            Template = messages =>
            {
                prompts.Add(string.Concat(messages.Select(m => $"{m.Role}: {m.Text}\n")) + "assistant:");
                return prompts[^1];
            },
        });
        ChatMessage[] messages = [new(ChatRole.User, "Hi"), new(ChatRole.Assistant, "Yes?"), new(ChatRole.User, "Who?")];
        ChatOptions options = new() { Instructions = "Be brief.", MaxOutputTokens = 5, Seed = 3 };
        ChatResponse response = await client.GetResponseAsync(messages, options);
        Assert.AreEqual("system: Be brief.\nuser: Hi\nassistant: Yes?\nuser: Who?\nassistant:", prompts.Single());
        Assert.AreEqual(model.Generate(prompts[0], new() { MaxNewTokens = 5, Seed = 3 }).Text, response.Text);
        Assert.AreEqual("Hi\nYes?\nWho?", LanguageModelChatOptions.Continuation(messages));
    }

    [TestMethod]
    public async Task What_cannot_be_honoured_is_refused_and_what_is_out_of_range_is_named()
    {
        using IChatClient client = Transformer(_saying).AsChatClient(new() { Generation = new() { TopK = 5, Seed = 1 } });
        await Refused<NotSupportedException>(new() { Tools = [AIFunctionFactory.Create(() => 1, "f")] }, "tools");
        await Refused<NotSupportedException>(new() { ResponseFormat = ChatResponseFormat.Json }, "JSON");
        await Refused<NotSupportedException>(new() { ConversationId = "1" }, "messages");
        await Refused<NotSupportedException>(new() { ModelId = "other" }, "other");
        await Refused<NotSupportedException>(new() { Reasoning = new() { Effort = ReasoningEffort.High } }, "reasoning");
        await Refused<ArgumentOutOfRangeException>(new() { TopP = 2 }, "TopP");
        await Refused<ArgumentOutOfRangeException>(new() { MaxOutputTokens = 0 }, "MaxNewTokens");
        StringAssert.Contains(
            (await Assert.ThrowsExactlyAsync<NotSupportedException>(() => client.GetResponseAsync(
                [new(ChatRole.User, [new DataContent("data:image/png;base64,AAAA")])]))).Message,
            "DataContent");
        Assert.Throws<ArgumentException>(
            () => Transformer(_saying).AsChatClient(new() { Generation = new() { MaxNewTokens = 0 } }));

        // The likeliest token is always among those that TopK and TopP keep.
        Assert.AreEqual("one", (await client.GetResponseAsync(
            "?", new() { Temperature = 0, TopP = 0.5f, MaxOutputTokens = 3, ModelId = "gpt" })).Text);
        Assert.AreEqual("one", (await client.GetResponseAsync(
            "?", new() { RawRepresentationFactory = _ => Greedy with { MaxNewTokens = 3 } })).Text);

        async Task Refused<T>(ChatOptions options, string named)
            where T : Exception => StringAssert.Contains(
                (await Assert.ThrowsExactlyAsync<T>(() => client.GetResponseAsync("?", options))).Message, named);
    }

    [TestMethod]
    public async Task Without_a_seed_each_request_gets_another_text_though_the_model_has_one_for_rows()
    {
        using IChatClient client = Transformer(_random).AsChatClient();
        string[] texts = new string[4];
        for (int i = 0; i < texts.Length; i++)
            texts[i] = (await client.GetResponseAsync("a", new() { MaxOutputTokens = 30 })).Text;
        Assert.IsGreaterThan(1, texts.Distinct().Count());
    }

    [TestMethod]
    public async Task Embeddings_are_those_of_the_models_column_for_causal_and_recurrent_and_masked_models()
    {
        string[] texts = ["abba", "b", "aab", .. Enumerable.Range(0, 70).Select(i => new string((char)('a' + i % 2), 1 + i % 9))];
        var ml = new MLContext(seed: 1);
        IDataView data = ml.Data.LoadFromEnumerable(texts.Select(t => new Row { Text = t }));
        using var gpt = ml.Generative.Gpt(new()
        {
            TextColumnName = "Text", Layers = 1, Heads = 1, Width = 8, ContextLength = 8, Steps = 1, EmbeddingColumnName = "E",
        }).Fit(data);
        using var recurrent = ml.Generative.RecurrentLanguageModel(new()
        {
            TextColumnName = "Text", Layers = 1, Width = 8, Steps = 1, EmbeddingColumnName = "E",
        }).Fit(data);
        using var masked = ml.Generative.MaskedLanguageModel(new()
        {
            TextColumnName = "Text", Layers = 1, Heads = 1, Width = 8, ContextLength = 8, Steps = 1, EmbeddingColumnName = "E",
        }).Fit(data);
        await Check(gpt, gpt.AsEmbeddingGenerator(), "gpt");
        await Check(recurrent, recurrent.AsEmbeddingGenerator("own"), "own");
        await Check(masked, masked.AsEmbeddingGenerator(), "bert");
        using IChatClient client = recurrent.AsChatClient();
        Assert.AreEqual(
            recurrent.Generate("ab", new() { Seed = 5, MaxNewTokens = 9 }).Text,
            (await client.GetResponseAsync("ab", new() { Seed = 5, MaxOutputTokens = 9 })).Text);

        async Task Check(
            GenerativeTransformer model, IEmbeddingGenerator<string, Embedding<float>> generator, string id)
        {
            float[] expected = Conformance.OnnxFiles.Column(model.Transform(data), "E");
            GeneratedEmbeddings<Embedding<float>> found = await generator.GenerateAsync(texts);
            CollectionAssert.AreEqual(expected, found.SelectMany(e => e.Vector.ToArray()).ToArray());
            Assert.AreEqual(texts.Sum(t => t.Length), found.Usage!.InputTokenCount); // a character is a token
            Assert.AreEqual(id, found[0].ModelId);
            var metadata = generator.GetService<EmbeddingGeneratorMetadata>()!;
            Assert.AreEqual((id, (int?)8), (metadata.DefaultModelId, metadata.DefaultModelDimensions));
            Assert.AreSame(model, generator.GetService<GenerativeTransformer>());
            Assert.AreEqual(0, (await generator.GenerateAsync([])).Usage!.InputTokenCount);
            // Where a document has a beginning, an empty one is just that.
            if (id == "bert")
                StringAssert.Contains((await Assert.ThrowsExactlyAsync<ArgumentException>(
                    () => generator.GenerateAsync(["a", ""]))).Message, "Text 1");
            else
                Assert.IsTrue(float.IsFinite((await generator.GenerateAsync([""]))[0].Vector.Span[0]));
            await Assert.ThrowsExactlyAsync<NotSupportedException>(
                () => generator.GenerateAsync(["a"], new() { Dimensions = 4 }));
            await Assert.ThrowsAsync<OperationCanceledException>(
                () => generator.GenerateAsync(["a"], null, new CancellationToken(canceled: true)));
            generator.Dispose();
            await Assert.ThrowsExactlyAsync<ObjectDisposedException>(() => generator.GenerateAsync(["a"]));
        }
    }

    private static async Task<List<ChatResponseUpdate>> All(IAsyncEnumerable<ChatResponseUpdate> updates)
    {
        List<ChatResponseUpdate> all = [];
        await foreach (ChatResponseUpdate update in updates)
            all.Add(update);
        return all;
    }

    private static GptTransformer Transformer(TrainedGpt model, bool endOfText = true) =>
        new(new TextModel(model, Bytes(endOfText)));

    private static TokenCodec Bytes(bool endOfText = true) =>
        TokenCodec.For(new ByteTokenizer(endOfText), vocabularySize: 257);

    private sealed class Row
    {
        public string Text { get; set; } = "";
    }
}
