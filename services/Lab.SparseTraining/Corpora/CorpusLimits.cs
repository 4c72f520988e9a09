namespace Lab.SparseTraining.Corpora;

/// <summary>How much of a corpus is in memory at once. The corpus is the same whatever the limits, but for <see cref="TokenizerBytes"/>.</summary>
internal sealed record CorpusLimits
{
    /// <summary>The limits of a service.</summary>
    public static CorpusLimits Default { get; } = new();

    /// <summary>Bytes of a file that are read at once.</summary>
    public int BufferBytes { get; init; } = 1 << 16;

    /// <summary>A longer document is tokenized in pieces of about this many bytes, cut where no token can reach across.</summary>
    public int PieceBytes { get; init; } = 1 << 20;

    /// <summary>Bytes of text that are tokenized together, on all cores; a batch ends with the piece that reaches it.</summary>
    public int BatchBytes { get; init; } = 4 << 20;

    /// <summary>Bytes of text that the tokenizer is trained on: the first of the training documents, which are in a seeded order.</summary>
    public long TokenizerBytes { get; init; } = 64 << 20;
}
