using System.Buffers;

namespace Microsoft.ML.Data;

/// <summary>A line of a text file, cut into fields.</summary>
internal sealed class TextFields(TextLoader.Options options)
{
    private readonly SearchValues<char> _separators = SearchValues.Create(options.Separators);
    private readonly bool _skipsLeadingSpaces = !options.Separators.Contains(' ');
    private ReadOnlyMemory<char>[] _fields = new ReadOnlyMemory<char>[16];

    public int Count { get; private set; }

    /// <summary>A field; empty where the line ends before it.</summary>
    public ReadOnlyMemory<char> this[int index] => index < Count ? _fields[index] : default;

    /// <summary>Moves to the next line that is neither empty nor a comment.</summary>
    public bool ReadLine(TextReader reader)
    {
        string line;
        do
        {
            line = reader.ReadLine();
            if (line is null)
                return false;
        }
        while (line.Length == 0 || line[0] == '#' || line.StartsWith("//", StringComparison.Ordinal));

        Cut(options.TrimWhitespace ? line.TrimEnd() : line);
        return true;
    }

    private void Cut(string line)
    {
        Count = 0;
        int at = 0;
        while (true)
        {
            while (_skipsLeadingSpaces && at < line.Length && line[at] == ' ')
                at++;
            ReadOnlyMemory<char> field;
            if (options.AllowQuoting && at < line.Length && line[at] == '"')
            {
                field = Quoted(line, ref at);
            }
            else
            {
                int length = line.AsSpan(at).IndexOfAny(_separators);
                field = line.AsMemory(at, length < 0 ? line.Length - at : length);
                at += field.Length;
            }

            if (Count == _fields.Length)
                Array.Resize(ref _fields, 2 * Count);
            _fields[Count++] = field;
            if (at >= line.Length)
                return;
            at++;
        }
    }

    /// <summary>Within quotes a doubled quote stands for one; what follows up to the separator is dropped.</summary>
    private ReadOnlyMemory<char> Quoted(string line, ref int at)
    {
        int first = ++at;
        bool doubled = false;
        while (at < line.Length && (line[at] != '"' || (at + 1 < line.Length && line[at + 1] == '"')))
        {
            doubled |= line[at] == '"';
            at += line[at] == '"' ? 2 : 1;
        }

        int end = Math.Min(at, line.Length);
        int rest = line.AsSpan(end).IndexOfAny(_separators);
        at = rest < 0 ? line.Length : end + rest;
        return doubled ? line[first..end].Replace("\"\"", "\"").AsMemory() : line.AsMemory(first, end - first);
    }
}
