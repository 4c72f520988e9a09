using System.Text;

namespace Lab.SparseTraining.Corpora.Dialogues;

/// <summary>The dialogues of JSON-lines files, one document a line; empty lines are left out.</summary>
/// <param name="files">The files.</param>
/// <param name="field">The request's field that names the folder, for errors.</param>
/// <param name="maxLine">The longest line, in UTF-16 code units: a dialogue is in memory as a whole.</param>
internal sealed class DialogueFiles(FolderDocuments files, string field, int maxLine = 1 << 24) : IDocumentSource
{
    private const int BufferBytes = 1 << 16;

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

            using var reader = new StreamReader(stream, _strict, detectEncodingFromByteOrderMarks: true, BufferBytes);
            for (int number = 1; ReadLine(reader, path, number, ct) is { } line; number++)
            {
                ct.ThrowIfCancellationRequested();
                if (string.IsNullOrWhiteSpace(line)) continue;
                yield return new MemoryStream(Encoding.UTF8.GetBytes(Canonical(line, path, number)), writable: false);
            }
        }
    }

    /// <summary>As StreamReader.ReadLine, but for lines without end.</summary>
    private string? ReadLine(StreamReader reader, string path, int number, CancellationToken ct)
    {
        var line = new StringBuilder();
        try
        {
            for (int unit = reader.Read(); unit >= 0; unit = reader.Read())
            {
                if (unit is '\r' && reader.Peek() is '\n') reader.Read();
                if (unit is '\r' or '\n') return line.ToString();
                if (line.Length == maxLine) throw new ArgumentException($"{path}, line {number}: longer than {maxLine} characters.", $"{field}.path");
                if (line.Length % (1 << 20) == 0) ct.ThrowIfCancellationRequested();
                line.Append((char)unit);
            }
        }
        catch (DecoderFallbackException e)
        {
            throw new ArgumentException($"{path}, line {number}: not UTF-8.", $"{field}.path", e);
        }

        return line.Length > 0 ? line.ToString() : null;
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
