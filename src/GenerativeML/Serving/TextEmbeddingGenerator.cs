using Microsoft.Extensions.AI;

namespace GenerativeML;

/// <summary>
/// A model of texts as a generator of embeddings, the same as its column of them. May be asked from several threads at once.
/// </summary>
internal sealed class TextEmbeddingGenerator(
    GenerativeTransformer model, TextBatchModel texts, int width, string modelId)
    : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly EmbeddingGeneratorMetadata _metadata = new(nameof(GenerativeML), null, modelId, width);
    private volatile bool _disposed;

    public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentNullException.ThrowIfNull(values);
        if (options?.Dimensions is int dimensions && dimensions != width)
            throw new NotSupportedException($"Embeddings have {width} features, not {dimensions}.");
        if (options?.ModelId is string other && other != modelId)
            throw new NotSupportedException($"The model does not know ModelId '{other}': this is '{modelId}'.");
        string[] all = [.. values];
        return Task.Run(() => Generate(all, cancellationToken), cancellationToken);
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        object[] services = [this, _metadata, model, texts.Codec.Tokenizer];
        return serviceKey is null ? Array.Find(services, serviceType.IsInstanceOfType) : null;
    }

    /// <summary>The generator answers no more; the model stays as it is.</summary>
    public void Dispose() => _disposed = true;

    private GeneratedEmbeddings<Embedding<float>> Generate(string[] values, CancellationToken cancellationToken)
    {
        var embeddings = new GeneratedEmbeddings<Embedding<float>>(values.Length);
        long count = 0;
        foreach (string[] part in values.Chunk(texts.BatchSize))
        {
            cancellationToken.ThrowIfCancellationRequested();
            int[][] tokens = [.. part.Select((text, i) => Encode(text, embeddings.Count + i))];
            float[] vectors = new float[part.Length * width];
            texts.Score(tokens, default, vectors);
            count += tokens.Sum(t => (long)t.Length);
            embeddings.AddRange(Enumerable.Range(0, part.Length).Select(i =>
                new Embedding<float>(vectors.AsMemory(i * width, width)) { ModelId = modelId, CreatedAt = DateTimeOffset.UtcNow }));
        }
        embeddings.Usage = new() { InputTokenCount = count, TotalTokenCount = count };
        return embeddings;
    }

    // Of nothing there is no embedding, unless a document's beginning stands for it.
    private int[] Encode(string text, int number)
    {
        ArgumentNullException.ThrowIfNull(text, $"values[{number}]");
        int[] tokens = texts.Codec.Encode(text);
        return tokens.Length > 0 || texts.Codec.EndOfText is not null
            ? tokens
            : throw new ArgumentException($"Text {number} has no tokens, and so no embedding.", $"values[{number}]");
    }
}
