using System.Text;

namespace Lab.SparseTraining.Corpora.Dialogues;

/// <summary>Generated dialogues, a line of JSON each. Dialogue i of a seed is the same on every machine, however many are asked for.</summary>
/// <param name="Seed">Decides the text.</param>
/// <param name="Bytes">About how many bytes; 0 means 1 MiB.</param>
/// <param name="NoticedFraction">The share of questions after injected thoughts that are answered with yes.</param>
internal sealed record GeneratedDialogues(long Seed, long Bytes, double NoticedFraction) : IDocumentSource
{
    private const long DefaultBytes = 1 << 20;

    /// <inheritdoc/>
    public string Kind => "dialogue";

    /// <inheritdoc/>
    public string Description => $"generated dialogues of seed {Seed}";

    /// <inheritdoc/>
    public long TotalBytes => Bytes == 0 ? DefaultBytes : Bytes;

    /// <inheritdoc/>
    public IEnumerable<Stream?> Read(CancellationToken ct)
    {
        long done = 0;
        for (long i = 0; done < TotalBytes; i++)
        {
            ct.ThrowIfCancellationRequested();
            byte[] line = Encoding.UTF8.GetBytes(DialogueGenerator.Generate(Seed, i, NoticedFraction).ToLine());
            done += line.Length;
            yield return new MemoryStream(line, writable: false);
        }
    }
}
