namespace GenerativeML;

/// <summary>Writes files that are there whole or not at all, whatever stops the process.</summary>
internal static class AtomicFile
{
    /// <summary>What is added to a file's name while it is being written.</summary>
    public const string TemporarySuffix = ".tmp";

    /// <summary>
    /// Writes a file under a temporary name beside its own, flushes it to the disk and gives it its name, in the
    /// place of an older file, which stays as it was if the process is killed or <paramref name="write"/> throws.
    /// </summary>
    /// <exception cref="IOException">The disk says no, or another process is writing the same file.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        string temporary = path + TemporarySuffix;
        var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None);
        try
        {
            using (stream)
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }
}
