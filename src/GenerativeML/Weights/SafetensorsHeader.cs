using System.Text.Json;
using System.Text.Unicode;

namespace GenerativeML;

/// <summary>A tensor of a file, and where its bytes lie.</summary>
/// <param name="Spec">Its name, element type and shape.</param>
/// <param name="Offset">Where its first byte is, counted from the first byte after the header.</param>
internal sealed record TensorEntry(TensorSpec Spec, long Offset);

/// <summary>
/// The header of a safetensors file: which tensors it holds, where, and what its writer noted. It exists only
/// for a file that is sound: types known, sizes equal to type times shape, the data covered from its first
/// byte to its last, once. Source: the format's description at https://github.com/huggingface/safetensors.
/// </summary>
internal sealed class SafetensorsHeader
{
    /// <summary>The size of the number that a file starts with: the length of its header.</summary>
    public const int PrefixLength = 8;

    /// <summary>The longest header that the format allows, in bytes.</summary>
    public const int MaximumLength = 100_000_000;

    /// <summary>
    /// The most memory that may be taken for what a header describes, in bytes. With it, reading a file
    /// allocates at most the file's own size plus this.
    /// </summary>
    public const long Allowance = 64L << 20;

    /// <summary>The reserved key of the header that holds the notes.</summary>
    public const string MetadataKey = "__metadata__";

    private readonly Dictionary<string, TensorEntry> _byName;

    private SafetensorsHeader(
        List<TensorEntry> tensors, Dictionary<string, TensorEntry> byName, Dictionary<string, string> metadata)
    {
        Tensors = tensors;
        _byName = byName;
        Metadata = metadata;
    }

    /// <summary>The tensors, in the order of their data.</summary>
    public IReadOnlyList<TensorEntry> Tensors { get; }

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, TensorEntry> ByName => _byName;

    /// <summary>What the writer noted, text by text; empty where it noted nothing.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Reads a header and holds it against the length of the data.</summary>
    /// <param name="json">The header, without the number before it.</param>
    /// <param name="dataLength">How many bytes follow the header.</param>
    /// <exception cref="FormatException">It is not sound; the message says why, and for which tensor.</exception>
    public static SafetensorsHeader Parse(ReadOnlySpan<byte> json, long dataLength)
    {
        if (json.IsEmpty || json[0] != (byte)'{')
            throw Unsound("the header does not start with '{'");
        if (!Utf8.IsValid(json))
            throw Unsound("the header is not valid UTF-8");
        var tensors = new List<TensorEntry>();
        var byName = new Dictionary<string, TensorEntry>(StringComparer.Ordinal);
        Dictionary<string, string>? metadata = null;
        try
        {
            var reader = new SafetensorsJson(json);
            while (reader.NextKey() is { } key)
            {
                if (key == MetadataKey)
                    metadata = metadata is null ? reader.ReadMetadata() : throw Unsound($"{MetadataKey} appears twice");
                else
                {
                    TensorEntry entry = reader.ReadTensor(key);
                    if (!byName.TryAdd(key, entry))
                        throw Unsound($"tensor {TensorSpec.Quote(key)} appears twice");
                    tensors.Add(entry);
                }
            }

            reader.End();
        }
        catch (JsonException e)
        {
            throw Unsound($"the header is not valid JSON (at byte {e.BytePositionInLine} of line {e.LineNumber})", e);
        }

        CheckCoverage(tensors, dataLength);
        return new SafetensorsHeader(tensors, byName, metadata ?? []);
    }

    /// <summary>
    /// Holds the tensors against those of a model: the same names, types and shapes, no more, no fewer.
    /// </summary>
    /// <exception cref="FormatException">
    /// They differ; the message says where, what was expected and what was found.
    /// </exception>
    public void Require(IEnumerable<TensorSpec> expected)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        List<string> missing = [];
        foreach (TensorSpec spec in expected)
        {
            names.Add(spec.Name);
            if (!_byName.ContainsKey(spec.Name))
                missing.Add(spec.Name);
        }

        string[] surplus = [.. Tensors.Select(t => t.Spec.Name).Where(n => !names.Contains(n))];
        if (missing.Count > 0 || surplus.Length > 0)
        {
            List<string> lists = [];
            if (missing.Count > 0)
                lists.Add(List("missing", missing));
            if (surplus.Length > 0)
                lists.Add(List("unexpected", surplus));
            throw Another(string.Join("; ", lists));
        }

        foreach (TensorSpec spec in expected)
        {
            TensorSpec found = _byName[spec.Name].Spec;
            if (found.Type != spec.Type || !found.Shape.SequenceEqual(spec.Shape))
            {
                throw Another(
                    $"tensor {TensorSpec.Quote(spec.Name)} should be {spec.Type} {TensorSpec.Describe(spec.Shape)} " +
                    $"and is {found.Type} {TensorSpec.Describe(found.Shape)}");
            }
        }
    }

    /// <summary>The one exception for a file that is not sound.</summary>
    public static FormatException Unsound(string reason, Exception? inner = null) =>
        new($"Not a sound safetensors file: {reason}.", inner);

    private static FormatException Another(string how) => new($"The weights are those of another model: {how}.");

    private static string List(string what, IReadOnlyCollection<string> names)
    {
        const int shown = 5;
        string rest = names.Count > shown ? $" and {names.Count - shown} more" : "";
        return $"{what} {string.Join(", ", names.Take(shown).Select(TensorSpec.Quote))}{rest}";
    }

    // A JSON object has no order, and not every writer names tensors in the order of their data: sort first.
    private static void CheckCoverage(List<TensorEntry> tensors, long dataLength)
    {
        tensors.Sort(static (a, b) => (a.Offset, a.Spec.Length).CompareTo((b.Offset, b.Spec.Length)));
        long end = 0;
        foreach (TensorEntry tensor in tensors)
        {
            if (tensor.Offset != end)
            {
                string how = tensor.Offset > end ? "after a hole" : "inside another tensor";
                throw Unsound(
                    $"the data of tensor {TensorSpec.Quote(tensor.Spec.Name)} starts at {tensor.Offset}, {how}: " +
                    $"{end} was expected");
            }

            // Cannot overflow: the header gave the end as a number of its own.
            end += tensor.Spec.Length;
        }

        if (end != dataLength)
            throw Unsound($"the tensors take {end} bytes, and {dataLength} bytes follow the header");
    }
}
