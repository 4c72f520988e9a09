using System.Text;
using Lab.SparseTraining.Corpora;

namespace Lab.SparseTraining.Tests.Corpora;

public sealed class TextDecoderTests
{
    [Fact]
    public void Decode_ByteOrderMarkAndCrLf_AreRemoved() =>
        TextDecoder.Decode([0xEF, 0xBB, 0xBF, .. "a\r\nb\rc\n"u8]).ShouldBe("a\nb\rc\n");

    [Theory]
    [InlineData(new byte[] { (byte)'a', 0, (byte)'b' })]
    [InlineData(new byte[] { 0xFF, 0xFE, 0x41, 0x00 })]
    [InlineData(new byte[] { (byte)'a', 0xE9 })]
    [InlineData(new byte[] { 0xED, 0xA0, 0x80 })]
    public void Decode_BinaryOrBrokenUtf8_IsNull(byte[] bytes) => TextDecoder.Decode(bytes).ShouldBeNull();

    [Theory]
    [InlineData("ab\ncd\nef", 7, "ab\ncd\n")]
    [InlineData("ab\ncd\nef", 6, "ab\ncd\n")]
    [InlineData("ab\ncd\nef", 8, "ab\ncd\nef")]
    [InlineData("aéé", 4, "aé")]
    [InlineData("aéé", 3, "aé")]
    [InlineData("é", 1, "")]
    [InlineData("abc", 0, "")]
    public void Truncate_AtALimit_EndsAfterALineOrElseACharacter(string text, int maxBytes, string expected) =>
        Encoding.UTF8.GetString(TextDecoder.Truncate(Encoding.UTF8.GetBytes(text), maxBytes)).ShouldBe(expected);
}
