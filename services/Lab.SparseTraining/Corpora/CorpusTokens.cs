using System.Runtime.InteropServices;
using Lab.Models.Corpora;
using Lab.Models.Tokenizers;

namespace Lab.SparseTraining.Corpora;

/// <summary>Tokenizes pieces of documents on all cores, batch by batch, and writes them in order.</summary>
internal sealed class CorpusTokens(IDocumentFormat format, ICorpusTokenizer tokenizer, TokenCorpusWriter writer, int batchBytes)
{
    private readonly List<DocumentPiece> _batch = [];
    private readonly List<List<int>> _ids = [];
    private long _buffered;

    /// <summary>The most UTF-16 code units of text that were in memory at once.</summary>
    public long PeakBuffered { get; private set; }

    /// <summary>How many ids the buffers that the next batch will use have room for.</summary>
    public long KeptTokens => _ids.Sum(ids => (long)ids.Capacity);

    /// <summary>Writes all pieces.</summary>
    public void Write(IEnumerable<DocumentPiece> pieces, CancellationToken ct)
    {
        foreach (DocumentPiece piece in pieces)
        {
            _batch.Add(piece);
            _buffered += piece.Text.Length;
            PeakBuffered = Math.Max(PeakBuffered, _buffered);
            if (_buffered >= batchBytes) Flush(ct);
        }

        Flush(ct);
    }

    private void Flush(CancellationToken ct)
    {
        while (_ids.Count < _batch.Count) _ids.Add([]);
        Parallel.For(0, _batch.Count, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = ct }, i =>
        {
            _ids[i].Clear();
            format.Encode(tokenizer, _batch[i].Text, _ids[i]);
            if (_batch[i].IsLast) _ids[i].Add(tokenizer.EndOfText);
        });
        for (int i = 0; i < _batch.Count; i++) writer.Append(CollectionsMarshal.AsSpan(_ids[i]), _batch[i].IsHeldOut);
        _batch.Clear();
        _buffered = 0;

        // Each buffer keeps the room of the longest piece that ever had its place in a batch; all together may not grow with the text.
        if (KeptTokens > 2L * batchBytes) _ids.Clear();
    }
}
