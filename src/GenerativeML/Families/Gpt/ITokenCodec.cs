namespace GenerativeML;

/// <summary>Between text and the numbers that a GPT knows it by. Safe to use from several threads.</summary>
internal interface ITokenCodec
{
    /// <summary>Tokens are below it.</summary>
    int VocabularySize { get; }

    /// <summary>The token that stands between documents; null where there is none.</summary>
    int? EndOfText { get; }

    /// <summary>A text's tokens; none for an empty text.</summary>
    /// <exception cref="InvalidOperationException">
    /// The text has characters that the vocabulary cannot express.
    /// </exception>
    int[] Encode(string text);

    /// <summary>
    /// Starts to put together, from its tokens, the text that follows on those of <paramref name="before"/>.
    /// </summary>
    ITextAssembler StartText(ReadOnlySpan<int> before);
}

/// <summary>Puts a text together from its tokens, one by one; used by one thread at a time.</summary>
internal interface ITextAssembler
{
    /// <summary>
    /// Adds a token and says what text is certain now: whole characters only, and nothing while one is incomplete.
    /// </summary>
    string Add(int token);

    /// <summary>Ends the text: what is left of it, with U+FFFD in the place of incomplete characters.</summary>
    string Finish();
}
