namespace GenerativeML;

/// <summary>
/// The tokens of one text that a GPT looks at. When the window is full and a token is added, only the newest half
/// stays, the new one included, and is evaluated anew from position 0: positions are part of what keys and values were
/// computed from, so they cannot move. A token then costs two on average, and memory stays what a window takes.
/// </summary>
internal sealed class DecodingSequence(IGptDecoder decoder) : IDisposable
{
    private readonly List<int> _window = [];
    private readonly ISequenceCache _cache = decoder.NewCache();
    private readonly int _context = decoder.Shape.ContextLength;
    private int _evaluated;

    /// <summary>Tokens in the window that are not evaluated yet.</summary>
    public int Pending => _window.Count - _evaluated;

    /// <summary>Tokens in the window.</summary>
    public int Count => _window.Count;

    /// <summary>How many tokens are left when a full window has slid.</summary>
    public static int Kept(int contextLength) => Math.Max(1, contextLength / 2);

    /// <summary>Begins a new text.</summary>
    public void Clear()
    {
        _window.Clear();
        _evaluated = 0;
    }

    /// <summary>Adds a token, to be evaluated.</summary>
    public void Add(int token)
    {
        if (_window.Count == _context)
        {
            _window.RemoveRange(0, _window.Count - (Kept(_context) - 1));
            _evaluated = 0;
        }
        _window.Add(token);
    }

    /// <summary>Lets go of what was kept of the tokens.</summary>
    public void Dispose() => _cache.Dispose();

    /// <summary>Gives the next token that is to be evaluated, and takes it as evaluated.</summary>
    public DecoderRow Take() => new(_cache, _window[_evaluated], _evaluated++);
}
