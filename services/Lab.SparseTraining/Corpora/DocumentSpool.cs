using System.Text;

namespace Lab.SparseTraining.Corpora;

/// <summary>
/// Documents in a temporary file, so that text read once can be gone through twice without being held in memory, and cannot change in
/// between. Eight bytes of memory a document. Disposing deletes the file.
/// </summary>
internal sealed class DocumentSpool(string folder) : IDisposable
{
    private const int ScanBytes = 1 << 12;

    private readonly FileStream _file = new(Path.Combine(folder, ".documents"), new FileStreamOptions
    {
        Mode = FileMode.CreateNew,
        Access = FileAccess.ReadWrite,
        Options = FileOptions.DeleteOnClose,
        BufferSize = 1 << 16,
    });

    private readonly List<long> _ends = [];
    private long _end;

    /// <summary>How many documents there are.</summary>
    public int Count => _ends.Count;

    /// <summary>Bytes of text in all documents.</summary>
    public long Bytes => _ends.Count == 0 ? 0 : _ends[^1];

    /// <summary>Bytes of the document that is being written.</summary>
    public long CurrentBytes => _end - Bytes;

    /// <summary>Appends to the document that is being written.</summary>
    public void Write(ReadOnlySpan<byte> utf8)
    {
        _file.Position = _end;
        _file.Write(utf8);
        _end += utf8.Length;
    }

    /// <summary>Makes a document of what was written.</summary>
    public void Commit() => _ends.Add(_end);

    /// <summary>Forgets what was written since the last document.</summary>
    public void Rollback() => _end = Bytes;

    /// <summary>Cuts what is being written to at most <paramref name="bytes"/>, after a line if there is one, else after a character.</summary>
    /// <returns>Whether it ends with a line.</returns>
    public bool Truncate(long bytes)
    {
        (_end, bool isLine) = Cut(Bytes, Bytes + bytes);
        return isLine;
    }

    /// <summary>
    /// Cuts the only document in two, after the last line of its first <paramref name="bytes"/>, or after their last character where no line
    /// ends in their second half.
    /// </summary>
    public void Split(long bytes)
    {
        long end = _ends[0], line = Cut(0, bytes).End;
        _ends[0] = line >= bytes / 2 ? line : CharacterEnd(0, bytes);
        _ends.Add(end);
    }

    /// <summary>A document's length in bytes.</summary>
    public long BytesOf(int document) => _ends[document] - Start(document);

    /// <summary>Reads a document back, in pieces at whose ends no token can reach across: behind a line that ordinary text follows.</summary>
    /// <param name="document">Which.</param>
    /// <param name="pieceBytes">The longest piece; where it holds no such line, a piece ends with a character.</param>
    public IEnumerable<string> Read(int document, long pieceBytes)
    {
        long end = _ends[document];
        for (long at = Start(document); at < end;)
        {
            byte[] bytes = new byte[Math.Min(pieceBytes, end - at)];
            _file.Position = at;
            _file.ReadExactly(bytes);
            int length = at + bytes.Length == end ? bytes.Length : SafeEnd(bytes);
            yield return Encoding.UTF8.GetString(bytes, 0, length);
            at += length;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    // A line's end can be joined with white space and, behind punctuation, with "/"; see the expression of the BPE pieces.
    private static int SafeEnd(ReadOnlySpan<byte> bytes)
    {
        for (int i = bytes.Length - 2; i >= 0; i--)
        {
            if (bytes[i] == (byte)'\n' && bytes[i + 1] is > (byte)' ' and < 0x7F and not (byte)'/') return i + 1;
        }

        int end = bytes.Length - 1;
        while (end > 0 && (bytes[end] & 0xC0) == 0x80) end--;
        return end > 0 ? end : bytes.Length;
    }

    private long Start(int document) => document == 0 ? 0 : _ends[document - 1];

    /// <summary>The end of the last line within a range of the file, or else of the last character.</summary>
    private (long End, bool IsLine) Cut(long start, long end)
    {
        byte[] bytes = new byte[ScanBytes];
        for (long to = end; to > start;)
        {
            int length = (int)Math.Min(ScanBytes, to - start);
            _file.Position = to - length;
            _file.ReadExactly(bytes, 0, length);
            int line = bytes.AsSpan(0, length).LastIndexOf((byte)'\n');
            if (line >= 0) return (to - length + line + 1, true);
            to -= length;
        }

        return (CharacterEnd(start, end), false);
    }

    /// <summary>The end of the last character within a range of the file.</summary>
    private long CharacterEnd(long start, long end)
    {
        for (; end > start; end--)
        {
            _file.Position = end;
            if ((_file.ReadByte() & 0xC0) != 0x80) break;
        }

        return end;
    }
}
