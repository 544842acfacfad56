using Microsoft.Extensions.AI;

namespace GenerativeML;

/// <summary>How a language model answers as an <see cref="IChatClient"/>.</summary>
public sealed record LanguageModelChatOptions
{
    /// <summary>
    /// Makes one prompt of a conversation's messages, the first of which comes first; instructions of a request are a
    /// system's message before them. Default: <see cref="Continuation"/>. A model that was trained on dialogues wants
    /// them written as they were there, such as
    /// <c>m => string.Concat(m.Select(x => $"{x.Role}: {x.Text}\n")) + "assistant:"</c>, with the stop string
    /// <c>"\nuser:"</c>.
    /// </summary>
    public Func<IReadOnlyList<ChatMessage>, string> Template { get; init; } = Continuation;

    /// <summary>
    /// How texts are generated where a request does not say otherwise. Default: as the model was told in training, with
    /// another seed for each request.
    /// </summary>
    public GenerationOptions? Generation { get; init; }

    /// <summary>The model's name for those who ask. Default: that of its family, such as <c>gpt</c>.</summary>
    public string? ModelId { get; init; }

    /// <summary>
    /// The messages' texts with a line's end between each two, and nothing else: a model that knows no dialogues
    /// continues the last of them.
    /// </summary>
    /// <param name="messages">The messages.</param>
    public static string Continuation(IReadOnlyList<ChatMessage> messages) =>
        string.Join('\n', messages.Select(message => message.Text));
}

/// <summary>
/// A language model as a client of conversations. What streams and what comes whole is the same; requests may come from
/// several threads at once.
/// </summary>
internal sealed class LanguageModelChatClient : IChatClient
{
    private readonly LanguageModelTransformer _model;
    private readonly LanguageModelChatOptions _options;
    private readonly GenerationOptions _generation;
    private readonly ChatClientMetadata _metadata;
    private volatile bool _disposed;

    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public LanguageModelChatClient(LanguageModelTransformer model, LanguageModelChatOptions? options)
    {
        (_model, _options) = (model, options ?? new());
        ArgumentNullException.ThrowIfNull(_options.Template, nameof(LanguageModelChatOptions.Template));
        TrainedLanguageModel trained = model.Text.Model;
        _generation = _options.Generation ?? trained.Network.Options.Generation with { Seed = null };
        _generation.Validate();
        _generation.CheckTokens(model.VocabularySize);
        _metadata = new(nameof(GenerativeML), providerUri: null, _options.ModelId ?? trained.Network.Family);
    }

    private string ModelId => _metadata.DefaultModelId!;

    public Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        IEnumerable<ChatResponseUpdate> updates = Updates(messages, options, cancellationToken);
        return Task.Run(updates.ToChatResponse, cancellationToken);
    }

    public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        LanguageModelTransformer.OnAnotherThread(Updates(messages, options, cancellationToken), cancellationToken);

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        object[] services = [this, _metadata, _model, _model.Tokenizer];
        return serviceKey is null ? Array.Find(services, serviceType.IsInstanceOfType) : null;
    }

    /// <summary>The client answers no more; the model stays as it is.</summary>
    public void Dispose() => _disposed = true;

    // What is wrong with a request is said at once, and not when the first piece is asked for.
    private IEnumerable<ChatResponseUpdate> Updates(
        IEnumerable<ChatMessage> messages, ChatOptions? options, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(messages);
        cancellationToken.ThrowIfCancellationRequested();
        List<ChatMessage> conversation = [.. messages];
        GenerationOptions generation = _model.Text.Complete(options is null ? _generation : Read(options));
        if (!string.IsNullOrEmpty(options?.Instructions))
            conversation.Insert(0, new(ChatRole.System, options.Instructions));
        foreach (ChatMessage message in conversation)
        {
            ArgumentNullException.ThrowIfNull(message, nameof(messages));
            if (message.Contents.FirstOrDefault(content => content is not (TextContent or UsageContent)) is { } other)
                throw new NotSupportedException(
                    $"A message of the {message.Role} has a {other.GetType().Name}: the model reads texts alone.");
        }
        string prompt = _options.Template(conversation)
            ?? throw new InvalidOperationException($"{nameof(LanguageModelChatOptions.Template)} gave null instead of a prompt.");
        int[] tokens = _model.Text.Encode(prompt);
        return Answer(_model.Text.Stream(tokens, generation, cancellationToken), tokens.Length);
    }

    private IEnumerable<ChatResponseUpdate> Answer(IEnumerable<TextPiece> pieces, int promptTokens)
    {
        string id = Guid.NewGuid().ToString("N");
        foreach (TextPiece piece in pieces)
        {
            if (piece.Text.Length > 0)
                yield return Update(new TextContent(piece.Text));
            if (piece.End is not FinishReason reason)
                continue;
            ChatResponseUpdate last = Update(new UsageContent(new()
            {
                InputTokenCount = promptTokens,
                OutputTokenCount = piece.Tokens,
                TotalTokenCount = promptTokens + piece.Tokens,
            }));
            last.FinishReason = reason == FinishReason.Length ? ChatFinishReason.Length : ChatFinishReason.Stop;
            yield return last;
        }

        ChatResponseUpdate Update(AIContent content) => new(ChatRole.Assistant, [content])
        {
            ResponseId = id,
            MessageId = id,
            ModelId = ModelId,
            CreatedAt = DateTimeOffset.UtcNow,
        };
    }

    // A request's options over those of the client. What cannot be honoured is refused, not overlooked.
    private GenerationOptions Read(ChatOptions options)
    {
        Refuse(options.ModelId is not null && options.ModelId != ModelId, $"ModelId '{options.ModelId}': this is '{ModelId}'");
        Refuse(options.Tools is { Count: > 0 } || options.ToolMode is RequiredChatToolMode, "tools");
        Refuse(options.ResponseFormat is not (null or ChatResponseFormatText), "a response in JSON");
        Refuse(options.ConversationId is not null, "a conversation that is kept: send all of its messages");
        Refuse(options.Reasoning?.Effort is not (null or ReasoningEffort.None), "reasoning");
        var own = options.RawRepresentationFactory?.Invoke(this) as GenerationOptions;
        GenerationOptions defaults = own ?? _generation;
        GenerationOptions generation = defaults with
        {
            MaxNewTokens = options.MaxOutputTokens ?? defaults.MaxNewTokens,
            Temperature = options.Temperature ?? defaults.Temperature,
            TopK = options.TopK ?? defaults.TopK,
            TopP = options.TopP ?? defaults.TopP,
            FrequencyPenalty = options.FrequencyPenalty ?? defaults.FrequencyPenalty,
            PresencePenalty = options.PresencePenalty ?? defaults.PresencePenalty,
            Seed = options.Seed is long seed ? unchecked((int)seed) : defaults.Seed,
            StopStrings = options.StopSequences is { } stops ? [.. defaults.StopStrings, .. stops] : defaults.StopStrings,
        };
        // The likeliest token is among those that these keep.
        return generation.Temperature == 0
            ? generation with { TopK = null, TopP = 1, MinP = 0, TypicalP = 1 }
            : generation;

        static void Refuse(bool asked, string what)
        {
            if (asked)
                throw new NotSupportedException($"The model does not know {what}.");
        }
    }
}
