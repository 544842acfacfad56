using System.IO.Compression;

namespace GenerativeML.Tests.Hostile;

/// <summary>
/// Damage to a saved model: to one of the files in the zip, by what that file is, with the zip itself put together
/// soundly again; or to which files it has.
/// </summary>
internal static class ZipMutations
{
    public static IReadOnlyList<Mutation> All { get; } = [DamageEntry, DamageEntry, DamageEntry, DamageEntry, MixUpEntries];

    /// <summary>One file in the zip, damaged.</summary>
    public static byte[] DamageEntry(byte[] zip, Random random)
    {
        if (Unpack(zip) is not { Count: > 0 } entries)
            return zip;
        int one = random.Next(entries.Count);
        (string name, byte[] content) = entries[one];
        IReadOnlyList<Mutation> any = Mutations.Any([.. entries.Select(e => e.Content)]);
        IReadOnlyList<Mutation> own = Path.GetExtension(name) switch
        {
            ".safetensors" => SafetensorsMutations.All,
            ".json" => JsonMutations.All,
            _ => any,
        };
        IReadOnlyList<Mutation> kind = random.Next(2) == 0 ? own : any;
        entries[one] = (name, kind[random.Next(kind.Count)](content, random));
        return Pack(entries);
    }

    /// <summary>A file left out, there twice, empty, or with the content of another.</summary>
    public static byte[] MixUpEntries(byte[] zip, Random random)
    {
        if (Unpack(zip) is not { Count: > 0 } entries)
            return zip;
        int one = random.Next(entries.Count);
        switch (random.Next(4))
        {
            case 0:
                entries.RemoveAt(one);
                break;
            case 1:
                entries.Add(entries[one]);
                break;
            case 2:
                entries[one] = (entries[one].Name, []);
                break;
            default:
                entries[one] = (entries[one].Name, entries[random.Next(entries.Count)].Content);
                break;
        }

        return Pack(entries);
    }

    private static List<(string Name, byte[] Content)>? Unpack(byte[] zip)
    {
        try
        {
            using var archive = new ZipArchive(new MemoryStream(zip), ZipArchiveMode.Read);
            List<(string, byte[])> entries = [];
            foreach (ZipArchiveEntry entry in archive.Entries)
            {
                using Stream stream = entry.Open();
                using var content = new MemoryStream();
                stream.CopyTo(content);
                entries.Add((entry.FullName, content.ToArray()));
            }

            return entries;
        }
        catch (InvalidDataException)
        {
            // Damaged before, by another mutation.
            return null;
        }
    }

    private static byte[] Pack(List<(string Name, byte[] Content)> entries)
    {
        using var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create))
        {
            foreach ((string name, byte[] content) in entries)
            {
                using Stream entry = archive.CreateEntry(name, CompressionLevel.Fastest).Open();
                entry.Write(content);
            }
        }

        return stream.ToArray();
    }
}
