using System.Text;

namespace GenerativeML.Tests;

/// <summary>Bytes of UTF-8 as tokens, and token 256 between documents if wanted.</summary>
internal sealed class ByteCodec(bool endOfText = true) : ITokenCodec
{
    public int VocabularySize => 257;

    public int? EndOfText => endOfText ? 256 : null;

    public int[] Encode(string text) => [.. Encoding.UTF8.GetBytes(text).Select(b => (int)b)];

    public ITextAssembler StartText(ReadOnlySpan<int> before) => new Assembler();

    private sealed class Assembler : ITextAssembler
    {
        private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();

        public string Add(int token) => Decode(token == 256 ? [] : [(byte)token], last: false);

        public string Finish() => Decode([], last: true);

        private string Decode(byte[] bytes, bool last)
        {
            var text = new char[8];
            return new string(text, 0, _decoder.GetChars(bytes, 0, bytes.Length, text, 0, last));
        }
    }
}
