using System.Text;

namespace Lab.SparseTraining.Corpora;

/// <summary>
/// Documents in a temporary file, so that text read once can be gone through twice without being held in memory, and cannot change in
/// between. Disposing deletes the file.
/// </summary>
internal sealed class DocumentSpool(string folder) : IDisposable
{
    private readonly FileStream _file = new(Path.Combine(folder, ".documents"), new FileStreamOptions
    {
        Mode = FileMode.CreateNew,
        Access = FileAccess.ReadWrite,
        Options = FileOptions.DeleteOnClose,
        BufferSize = 1 << 16,
    });

    private readonly List<(long Offset, int Length)> _documents = [];

    /// <summary>How many documents there are.</summary>
    public int Count => _documents.Count;

    /// <summary>Bytes of text in all.</summary>
    public long Bytes => _documents.Count == 0 ? 0 : _documents[^1].Offset + _documents[^1].Length;

    /// <summary>Appends a document.</summary>
    public void Add(ReadOnlySpan<byte> utf8)
    {
        _documents.Add((Bytes, utf8.Length));
        _file.Seek(_documents[^1].Offset, SeekOrigin.Begin);
        _file.Write(utf8);
    }

    /// <summary>A document's length in bytes.</summary>
    public int BytesOf(int document) => _documents[document].Length;

    /// <summary>Reads a document back.</summary>
    public string Read(int document)
    {
        (long offset, int length) = _documents[document];
        byte[] bytes = new byte[length];
        _file.Seek(offset, SeekOrigin.Begin);
        _file.ReadExactly(bytes);
        return Encoding.UTF8.GetString(bytes);
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();
}
