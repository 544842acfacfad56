using GenerativeML;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Models in files as services of a program.</summary>
/// <remarks>
/// Models are loaded when they are first asked for: a program that wants to know at its start that a file is right asks the
/// provider for the service then. The container disposes them. What is loaded or refused goes to the program's log, category
/// <c>GenerativeML</c>.
/// </remarks>
public static class GenerativeServiceCatalog
{
    /// <summary>
    /// Adds a <see cref="ServedModel{TInput, TOutput}"/>, one for the program: pooled prediction engines, and a new model
    /// when the file changes.
    /// </summary>
    /// <typeparam name="TInput">A row that goes in.</typeparam>
    /// <typeparam name="TOutput">A row that comes out.</typeparam>
    /// <param name="services">Where to add it.</param>
    /// <param name="path">The zip, as <c>mlContext.Model.Save</c> writes it.</param>
    /// <param name="options">How it is served. Default: all defaults.</param>
    /// <param name="key">Which of several models of these types it is: see keyed services. Default: the only one.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddGenerativeModel<TInput, TOutput>(
        this IServiceCollection services, string path, ServedModelOptions? options = null, object? key = null)
        where TInput : class
        where TOutput : class, new()
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        (options ??= new()).Validate();
        return services.AddKeyedSingleton(
            key, (provider, _) => new ServedModel<TInput, TOutput>(path, options, Logger(provider)));
    }

    /// <summary>
    /// Adds the <see cref="IChatClient"/> and the generator of embeddings of a language model, a GPT or a recurrent one. One
    /// model stands behind both, and a new one when the file changes.
    /// </summary>
    /// <param name="services">Where to add them.</param>
    /// <param name="path">The zip, as <c>mlContext.Model.Save</c> writes it.</param>
    /// <param name="chat">How it answers. Default: all defaults.</param>
    /// <param name="options">How it is served. Default: all defaults.</param>
    /// <param name="key">Which of several models it is: see keyed services. Default: the only one.</param>
    /// <returns>The services.</returns>
    public static IServiceCollection AddLanguageModel(
        this IServiceCollection services, string path, LanguageModelChatOptions? chat = null,
        ServedModelOptions? options = null, object? key = null)
    {
        object model = AddTextModel(services, path, chat, options, key, chats: true);
        return services.AddKeyedSingleton<IChatClient>(
            key, (provider, _) => new ServedChatClient(provider.GetRequiredKeyedService<WatchedModel<ServedTextModel>>(model)));
    }

    /// <summary>
    /// Adds the generator of embeddings of a masked or other language model, and a new one when the file changes.
    /// </summary>
    /// <inheritdoc cref="AddLanguageModel" path="/param|/returns"/>
    public static IServiceCollection AddEmbeddingModel(
        this IServiceCollection services, string path, ServedModelOptions? options = null, object? key = null)
    {
        AddTextModel(services, path, null, options, key, chats: false);
        return services;
    }

    // Adds a model and its embeddings; gives the key of the model.
    private static object AddTextModel(
        IServiceCollection services, string path, LanguageModelChatOptions? chat, ServedModelOptions? options, object? key,
        bool chats)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        (options ??= new()).Validate();
        object model = new();
        services.AddKeyedSingleton(model, (provider, _) => new WatchedModel<ServedTextModel>(
            path, options, Logger(provider), (_, chain) => new(chain, chat, chats)));
        services.AddKeyedSingleton<IEmbeddingGenerator<string, Embedding<float>>>(key, (provider, _) =>
            new ServedEmbeddingGenerator(provider.GetRequiredKeyedService<WatchedModel<ServedTextModel>>(model)));
        return model;
    }

    private static ILogger Logger(IServiceProvider provider) =>
        provider.GetService<ILoggerFactory>()?.CreateLogger(nameof(GenerativeML)) ?? NullLogger.Instance;
}
