using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;
using Microsoft.ML;

namespace GenerativeML;

/// <summary>A language or masked model of a file, as what it can serve.</summary>
internal sealed class ServedTextModel : IDisposable
{
    private readonly ITransformer _chain;

    /// <exception cref="InvalidOperationException">There is no such model in the chain.</exception>
    public ServedTextModel(ITransformer chain, LanguageModelChatOptions? chat, bool chats)
    {
        _chain = chain;
        switch (GenerativeModelExtensions.FindLast<LanguageModelTransformer>(chain), chats ? null : GenerativeModelExtensions.FindLast<MaskedLanguageModelTransformer>(chain))
        {
            case ({ } language, _):
                (Chat, Embeddings) = (language.AsChatClient(chat), language.AsEmbeddingGenerator(chat?.ModelId));
                break;
            case (null, { } masked):
                Embeddings = masked.AsEmbeddingGenerator();
                break;
            default:
                throw new InvalidOperationException(
                    chats ? "There is no model in the file that continues texts." : "There is no model of texts in the file.");
        }
    }

    public IChatClient? Chat { get; }

    public IEmbeddingGenerator<string, Embedding<float>> Embeddings { get; }

    public void Dispose()
    {
        Chat?.Dispose();
        Embeddings.Dispose();
        (_chain as IDisposable)?.Dispose();
    }
}

/// <summary>A client of whichever model is in a file at the time of a request.</summary>
internal sealed class ServedChatClient(WatchedModel<ServedTextModel> model) : IChatClient
{
    public async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        using WatchedModel<ServedTextModel>.Lease lease = model.Acquire();
        return await lease.Value.Chat!.GetResponseAsync(messages, options, cancellationToken).ConfigureAwait(false);
    }

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using WatchedModel<ServedTextModel>.Lease lease = model.Acquire();
        IAsyncEnumerable<ChatResponseUpdate> updates =
            lease.Value.Chat!.GetStreamingResponseAsync(messages, options, cancellationToken);
        await foreach (ChatResponseUpdate update in updates.ConfigureAwait(false))
            yield return update;
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is null && serviceType.IsInstanceOfType(this))
            return this;
        using WatchedModel<ServedTextModel>.Lease lease = model.Acquire();
        return lease.Value.Chat!.GetService(serviceType, serviceKey);
    }

    /// <summary>The model belongs to whoever watches it.</summary>
    public void Dispose()
    {
    }
}

/// <summary>Embeddings by whichever model is in a file at the time of a request.</summary>
internal sealed class ServedEmbeddingGenerator(WatchedModel<ServedTextModel> model)
    : IEmbeddingGenerator<string, Embedding<float>>
{
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        using WatchedModel<ServedTextModel>.Lease lease = model.Acquire();
        return await lease.Value.Embeddings.GenerateAsync(values, options, cancellationToken).ConfigureAwait(false);
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is null && serviceType.IsInstanceOfType(this))
            return this;
        using WatchedModel<ServedTextModel>.Lease lease = model.Acquire();
        return lease.Value.Embeddings.GetService(serviceType, serviceKey);
    }

    /// <summary>The model belongs to whoever watches it.</summary>
    public void Dispose()
    {
    }
}
