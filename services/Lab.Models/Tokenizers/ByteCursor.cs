namespace Lab.Models.Tokenizers;

/// <summary>Walks over a text by numbers of UTF-8 bytes and says which characters they touch.</summary>
internal ref struct ByteCursor(ReadOnlySpan<char> text)
{
    private readonly ReadOnlySpan<char> _text = text;
    private int _character;
    private int _bytesOfCharacter;

    /// <summary>The characters that the next bytes belong to, wholly or in part: tokens that share a character all cover it.</summary>
    public TextSpan Take(int bytes)
    {
        int start = _character;
        while (bytes > 0)
        {
            int left = CodePoints.Utf8LengthAt(_text, _character) - _bytesOfCharacter;
            if (bytes < left)
            {
                _bytesOfCharacter += bytes;
                return new TextSpan(start, _character + CodePoints.LengthAt(_text, _character));
            }

            bytes -= left;
            _bytesOfCharacter = 0;
            _character += CodePoints.LengthAt(_text, _character);
        }

        return new TextSpan(start, _character);
    }
}
