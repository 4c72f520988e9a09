using System.Text;

namespace Lab.SparseTraining.Corpora.Generated;

/// <summary>Generated Python programs. Program i of a seed is the same on every machine, however many are asked for.</summary>
/// <param name="Seed">Decides the text.</param>
/// <param name="Bytes">About how many bytes; 0 means 8 MiB.</param>
internal sealed record GeneratedDocuments(long Seed, long Bytes) : IDocumentSource
{
    private const long DefaultBytes = 8 << 20;

    /// <inheritdoc/>
    public string Kind => "generated";

    /// <inheritdoc/>
    public string Description { get; init; } = $"generated Python programs of seed {Seed}";

    /// <inheritdoc/>
    public long TotalBytes => Bytes == 0 ? DefaultBytes : Bytes;

    /// <inheritdoc/>
    public IEnumerable<Stream?> Read(CancellationToken ct)
    {
        long done = 0;
        for (long i = 0; done < TotalBytes; i++)
        {
            ct.ThrowIfCancellationRequested();
            byte[] program = Encoding.UTF8.GetBytes(PythonProgram.Generate(Seed, i));
            done += program.Length;
            yield return new MemoryStream(program, writable: false);
        }
    }
}
