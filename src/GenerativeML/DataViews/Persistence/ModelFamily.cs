using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>A kind of model that can be saved and loaded.</summary>
/// <param name="Name">What the file calls it; never changes.</param>
/// <param name="Load">Makes the transformer from its options and from a stream of safetensors.</param>
internal sealed record ModelFamily(string Name, Func<IHostEnvironment, JsonElement, Stream, ITransformer> Load);
