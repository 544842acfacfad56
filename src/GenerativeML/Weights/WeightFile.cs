using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>Weights in safetensors files that other programs wrote, without torch.</summary>
internal static class WeightFile
{
    /// <summary>Reads a tensor's elements, as Single.</summary>
    /// <exception cref="FormatException">Some are no numbers.</exception>
    public static float[] Read(SafetensorsReader reader, TensorEntry entry)
    {
        float[] values = entry.Spec.Type switch
        {
            TensorType.F32 => Elements<float>(),
            TensorType.F16 => Array.ConvertAll(Elements<Half>(), half => (float)half),
            _ => Array.ConvertAll(Elements<ushort>(), bits => BitConverter.UInt32BitsToSingle((uint)bits << 16)),
        };
        HostWeights.CheckFinite(entry.Spec, values);
        return values;

        T[] Elements<T>()
            where T : unmanaged
        {
            var elements = new T[entry.Spec.Length / entry.Spec.Type.Size()];
            reader.Read(entry, 0, MemoryMarshal.AsBytes(elements.AsSpan()));
            return elements;
        }
    }

    /// <summary>
    /// Everything that does not fit of a file's tensors by our names, of which one has a row for each token.
    /// </summary>
    public static List<string> Faults(
        Dictionary<string, TensorEntry> found, IReadOnlyList<TensorSpec> expected, string embeddings,
        params TensorSpec[] optional)
    {
        var known = expected.Concat(optional).ToDictionary(t => t.Name);
        IEnumerable<string> missing = expected.Select(t => t.Name).Where(name => !found.ContainsKey(name));
        IEnumerable<string> surplus = found.Where(t => !known.ContainsKey(t.Key)).Select(t => t.Value.Spec.Name);
        List<string> faults =
        [
            .. SafetensorsReader.List("missing", missing, int.MaxValue),
            .. SafetensorsReader.List("unexpected", surplus, int.MaxValue),
        ];
        foreach ((string name, TensorSpec wanted) in known)
        {
            if (!found.TryGetValue(name, out TensorEntry? entry))
                continue;
            if (!entry.Spec.Shape.SequenceEqual(wanted.Shape))
            {
                string hint = name == embeddings ? ", a row for each token of the vocabulary" : "";
                faults.Add(
                    $"{TensorSpec.Quote(name)} should be {TensorSpec.Describe(wanted.Shape)}{hint}, and is "
                    + TensorSpec.Describe(entry.Spec.Shape));
            }
            if (entry.Spec.Type is not (TensorType.F32 or TensorType.F16 or TensorType.BF16))
                faults.Add($"{TensorSpec.Quote(name)} is {entry.Spec.Type}, not F32, F16 or BF16");
        }
        return faults;
    }
}
