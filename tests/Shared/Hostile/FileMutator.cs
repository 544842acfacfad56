namespace GenerativeML.Tests.Hostile;

/// <summary>Makes damaged files of sound ones, by number: the same number gives the same file.</summary>
internal sealed class FileMutator
{
    private readonly IReadOnlyList<byte[]> _originals;
    private readonly IReadOnlyList<Mutation> _own;
    private readonly IReadOnlyList<Mutation> _any;

    /// <param name="originals">Sound files, of one kind.</param>
    /// <param name="own">The damages for files of that kind; half of all damages, the others fit any file.</param>
    public FileMutator(IReadOnlyList<byte[]> originals, IReadOnlyList<Mutation> own)
    {
        _originals = originals;
        _own = own;
        _any = Mutations.Any(originals);
    }

    public static FileMutator Safetensors(IReadOnlyList<byte[]> originals) => new(originals, SafetensorsMutations.All);

    public static FileMutator Json(IReadOnlyList<byte[]> originals) => new(originals, JsonMutations.All);

    /// <summary>Damages for zips, with those for the files in them.</summary>
    public static FileMutator Zip(IReadOnlyList<byte[]> originals) => new(originals, ZipMutations.All);

    /// <summary>The damaged file of this number: one damage to one of the originals, or up to three.</summary>
    public byte[] Damage(int number)
    {
        // Neighbouring seeds give neighbouring first draws: spread them.
        var random = new Random(unchecked(number * (int)0x9E3779B1));
        byte[] file = _originals[random.Next(_originals.Count)];
        for (int i = random.Next(2) == 0 ? 1 : random.Next(2, 4); i > 0; i--)
        {
            IReadOnlyList<Mutation> kind = random.Next(2) == 0 ? _own : _any;
            file = kind[random.Next(kind.Count)](file, random);
        }

        return file;
    }
}
