using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML.Persistence;

/// <summary>A kind of model that can be saved and loaded.</summary>
/// <param name="Name">What the file calls it; never changes.</param>
/// <param name="Load">Makes the transformer from its options and from a stream of safetensors.</param>
internal sealed record ModelFamily(string Name, Func<IHostEnvironment, JsonElement, Stream, ITransformer> Load)
{
    private static readonly Dictionary<string, ModelFamily> s_known = [];

    /// <summary>Finds a family by name.</summary>
    /// <exception cref="FormatException">There is none of that name in this version.</exception>
    public static ModelFamily Find(string name)
    {
        lock (s_known)
        {
            return s_known.TryGetValue(name, out ModelFamily? family)
                ? family
                : throw new FormatException($"The saved model is of the family '{name}', which this version does not know.");
        }
    }

    /// <summary>Makes a family known to <see cref="Find"/>.</summary>
    public static void Add(ModelFamily family)
    {
        lock (s_known)
            s_known.Add(family.Name, family);
    }
}
