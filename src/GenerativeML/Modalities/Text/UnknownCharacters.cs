namespace GenerativeML;

/// <summary>What a <see cref="CharacterTokenizer"/> does with a character that its vocabulary does not have.</summary>
public enum UnknownCharacters
{
    /// <summary>Encodes it as U+FFFD, the replacement character, which has a token for that.</summary>
    Replace,

    /// <summary>Encodes it as its UTF-8 bytes, for which there are 256 tokens: it comes back as it was.</summary>
    Bytes,

    /// <summary>
    /// Throws <see cref="InvalidOperationException"/>, which names the character and where it stands.
    /// </summary>
    Error,
}
