using System.Text;

namespace Lab.SparseTraining.Corpora.Dialogues;

/// <summary>The dialogues of JSON-lines files, one document a line; empty lines are left out.</summary>
/// <param name="files">The files.</param>
/// <param name="field">The request's field that names the folder, for errors.</param>
internal sealed class DialogueFiles(FolderDocuments files, string field) : IDocumentSource
{
    private static readonly UTF8Encoding _strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <inheritdoc/>
    public string Kind => "dialogue";

    /// <inheritdoc/>
    public string Description => $"dialogues of {files.Description}";

    /// <inheritdoc/>
    public long TotalBytes => files.TotalBytes;

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">A line is not a dialogue; the message names file and line.</exception>
    public IEnumerable<Stream?> Read(CancellationToken ct)
    {
        foreach ((string path, Stream? stream) in files.ReadNamed(ct))
        {
            if (stream is null)
            {
                yield return null;
                continue;
            }

            using var reader = new StreamReader(stream, _strict);
            for (int number = 1; TryReadLine(reader, path, number) is { } line; number++)
            {
                ct.ThrowIfCancellationRequested();
                if (string.IsNullOrWhiteSpace(line)) continue;
                yield return new MemoryStream(Encoding.UTF8.GetBytes(Canonical(line, path, number)), writable: false);
            }
        }
    }

    private string? TryReadLine(StreamReader reader, string path, int number)
    {
        try
        {
            return reader.ReadLine();
        }
        catch (DecoderFallbackException e)
        {
            throw new ArgumentException($"{path}, line {number}: not UTF-8.", $"{field}.path", e);
        }
    }

    // Written anew, so that dialogues that differ in spaces or further members alone are duplicates.
    private string Canonical(string line, string path, int number)
    {
        try
        {
            return Dialogue.Parse(line).ToLine();
        }
        catch (FormatException e)
        {
            throw new ArgumentException($"{path}, line {number}: {e.Message}.", $"{field}.path", e);
        }
    }
}
