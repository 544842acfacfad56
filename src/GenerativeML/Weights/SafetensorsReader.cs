using System.Buffers.Binary;

namespace GenerativeML;

/// <summary>
/// Reads a safetensors file: the header first, then the bytes of a tensor straight to where they are wanted.
/// Allocates no more than the header's length plus <see cref="SafetensorsHeader.Allowance"/>.
/// </summary>
internal sealed class SafetensorsReader
{
    private readonly Stream _stream;
    private readonly long _dataStart;
    private long _position;

    private SafetensorsReader(Stream stream, SafetensorsHeader header, long dataStart)
    {
        _stream = stream;
        Header = header;
        _dataStart = dataStart;
    }

    /// <summary>What the file holds.</summary>
    public SafetensorsHeader Header { get; }

    /// <summary>Reads and checks the header of a file from where the stream stands to its end.</summary>
    /// <param name="stream">The file. It stays the caller's, and open.</param>
    /// <param name="length">The length of the file in bytes, for a stream that cannot tell its own.</param>
    /// <exception cref="FormatException">The file is not sound; the message says why.</exception>
    public static SafetensorsReader Open(Stream stream, long? length = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        if (length is null && !stream.CanSeek)
            throw new ArgumentException("The stream does not know its length, and none was given.", nameof(stream));
        long total = length ?? (stream.Length - stream.Position);
        if (total < SafetensorsHeader.PrefixLength)
        {
            throw SafetensorsHeader.Unsound(
                $"it has {total} bytes, fewer than the {SafetensorsHeader.PrefixLength} of the header's length");
        }

        Span<byte> prefix = stackalloc byte[SafetensorsHeader.PrefixLength];
        ReadExactly(stream, prefix);
        ulong headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerLength > SafetensorsHeader.MaximumLength)
        {
            throw SafetensorsHeader.Unsound(
                $"the header's length is {headerLength}, and {SafetensorsHeader.MaximumLength} bytes are allowed");
        }

        long rest = total - SafetensorsHeader.PrefixLength;
        if ((long)headerLength > rest)
            throw SafetensorsHeader.Unsound($"the header's length is {headerLength}, and {rest} bytes follow");
        byte[] json = GC.AllocateUninitializedArray<byte>((int)headerLength);
        ReadExactly(stream, json);
        SafetensorsHeader header = SafetensorsHeader.Parse(json, rest - json.Length);
        return new SafetensorsReader(stream, header, stream.CanSeek ? stream.Position : 0);
    }

    /// <summary>Reads bytes of a tensor. A stream that cannot seek gives them only in the order of the data.</summary>
    /// <param name="tensor">The tensor, one of <see cref="Header"/>.</param>
    /// <param name="offset">The first byte that is wanted, counted from the tensor's first.</param>
    /// <param name="destination">Where they go; all of it is filled.</param>
    /// <exception cref="FormatException">The file ends earlier than it said.</exception>
    public void Read(TensorEntry tensor, long offset, Span<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        long left = tensor.Spec.Length - offset;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(destination.Length, left, nameof(destination));
        long position = tensor.Offset + offset;
        if (_stream.CanSeek)
            _stream.Position = _dataStart + position;
        else if (_position != position)
            throw new InvalidOperationException("The stream cannot seek: read the tensors in the order of their data.");
        ReadExactly(_stream, destination);
        _position = position + destination.Length;
    }

    private static void ReadExactly(Stream stream, Span<byte> destination)
    {
        if (stream.ReadAtLeast(destination, destination.Length, throwOnEndOfStream: false) < destination.Length)
            throw SafetensorsHeader.Unsound("it ends earlier than its length said");
    }
}
