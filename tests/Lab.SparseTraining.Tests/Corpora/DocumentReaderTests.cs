using System.Text;
using Lab.SparseTraining.Corpora;
using Lab.Testing;

namespace Lab.SparseTraining.Tests.Corpora;

public sealed class DocumentReaderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly DocumentSpool _spool;

    public DocumentReaderTests() => _spool = new DocumentSpool(_folder.Path);

    public void Dispose()
    {
        _spool.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(8)]
    [InlineData(9)]
    [InlineData(10)]
    [InlineData(1000)]
    public void Copy_ByteOrderMarkAndCrLf_AreRemovedAtAnyPlaceOfTheBuffer(int buffer)
    {
        Copy([0xEF, 0xBB, 0xBF, .. "a\r\nb\rc\n"u8], buffer).ShouldBe("a\nb\rc\n");
        Copy("\r\n\r\n\r\n\r\r\n\r\n12345678\r\n1234567\r\n123456\r\n"u8.ToArray(), buffer).ShouldBe("\n\n\n\r\n\n12345678\n1234567\n123456\n");
        Copy("1234567\r"u8.ToArray(), buffer).ShouldBe("1234567\r");
        Copy([], buffer).ShouldBe("");
    }

    [Theory]
    [InlineData("aé😀bcdefgh😀ééé中文字符abc", 8)]
    [InlineData("aé😀bcdefgh😀ééé中文字符abc", 9)]
    [InlineData("aé😀bcdefgh😀ééé中文字符abc", 11)]
    [InlineData("aé😀bcdefgh😀ééé中文字符abc", 1000)]
    public void Copy_CharactersAcrossTheBuffersEnd_AreWhole(string text, int buffer) => Copy(Encoding.UTF8.GetBytes(text), buffer).ShouldBe(text);

    [Theory]
    [InlineData(new byte[] { (byte)'a', 0, (byte)'b' })]
    [InlineData(new byte[] { 0xFF, 0xFE, 0x41, 0x00 })]
    [InlineData(new byte[] { (byte)'a', 0xE9 })]
    [InlineData(new byte[] { 0xED, 0xA0, 0x80 })]
    public void Copy_BinaryOrBrokenUtf8_IsNull(byte[] bytes)
    {
        Copy(bytes, 1000).ShouldBeNull();
        Copy([.. "1234567"u8, .. bytes], 8).ShouldBeNull();
        Copy([.. "12345"u8, .. bytes], 8).ShouldBeNull();
    }

    [Fact]
    public void Copy_OfADocumentWithoutEnd_CanBeCancelled()
    {
        using var cancellation = new CancellationTokenSource();
        using var endless = new EndlessStream(cancellation, reads: 5);

        Should.Throw<OperationCanceledException>(() => new DocumentReader(_spool, 64).Copy(endless, long.MaxValue, cancellation.Token));

        _spool.CurrentBytes.ShouldBe(5 * 64);
    }

    [Theory]
    [InlineData("ab\ncd\nef", 7, "ab\ncd\n")]
    [InlineData("ab\ncd\nef", 6, "ab\ncd\n")]
    [InlineData("aéé", 4, "aé")]
    [InlineData("aéé", 3, "aé")]
    [InlineData("é", 1, "")]
    [InlineData("abc", 0, "")]
    public void Truncate_AtALimit_EndsAfterALineOrElseACharacter(string text, int maxBytes, string expected)
    {
        _spool.Write("first\n"u8);
        _spool.Commit();
        _spool.Write(Encoding.UTF8.GetBytes(text));

        _spool.Truncate(maxBytes).ShouldBe(expected.EndsWith('\n'));
        _spool.Commit();

        string.Concat(_spool.Read(1, long.MaxValue)).ShouldBe(expected);
        _spool.BytesOf(1).ShouldBe(Encoding.UTF8.GetByteCount(expected));
    }

    [Fact]
    public void Truncate_LineFarBefore_IsFound()
    {
        _spool.Write([.. "line\n"u8, .. Enumerable.Repeat((byte)'x', 20_000)]);

        _spool.Truncate(15_000).ShouldBeTrue();

        _spool.CurrentBytes.ShouldBe(5);
    }

    [Theory]
    [InlineData("one\ntwo\nthree\nfour\n", 10, "one\ntwo\n")]
    [InlineData("abcdefgh", 6, "abcdef")]
    [InlineData("😀😀", 6, "😀")]
    [InlineData("# head\nabcdefghijklmnopqrst\n", 20, "# head\nabcdefghijklm")]
    public void Split_OfASingleDocument_CutsAfterALineOrElseACharacter(string text, int bytes, string expected)
    {
        _spool.Write(Encoding.UTF8.GetBytes(text));
        _spool.Commit();

        _spool.Split(bytes);

        _spool.Count.ShouldBe(2);
        string.Concat(_spool.Read(0, long.MaxValue)).ShouldBe(expected);
        string.Concat(_spool.Read(1, long.MaxValue)).ShouldBe(text[expected.Length..]);
    }

    [Fact]
    public void Read_InPieces_CutsWhereNoTokenReachesAcross()
    {
        const string Text = "a = 1\n\n\n    b = 2\n/ 3\nc\n";
        _spool.Write(Encoding.UTF8.GetBytes(Text));
        _spool.Commit();

        for (int bytes = 5; bytes < 30; bytes++) string.Concat(_spool.Read(0, bytes)).ShouldBe(Text);
        _spool.Read(0, 23).ShouldBe(["a = 1\n\n\n    b = 2\n/ 3\n", "c\n"]);
    }

    private string? Copy(byte[] bytes, int buffer)
    {
        _spool.Rollback();
        byte[]? digest = new DocumentReader(_spool, buffer).Copy(new MemoryStream(bytes), long.MaxValue, TestContext.Current.CancellationToken);
        if (digest is null) return null;
        _spool.Commit();
        return string.Concat(_spool.Read(_spool.Count - 1, long.MaxValue));
    }

    /// <summary>The letter a, again and again; cancels after some reads.</summary>
    private sealed class EndlessStream(CancellationTokenSource cancellation, int reads) : MemoryStream
    {
        private int _left = reads;

        public override int Read(Span<byte> buffer)
        {
            if (--_left == 0) cancellation.Cancel();
            buffer.Fill((byte)'a');
            return buffer.Length;
        }
    }
}
