using System.Security.Cryptography;
using System.Text;
using Lab.Models.Corpora;
using Lab.Models.Tokenizers;
using Lab.SparseTraining.Corpora.Generated;
using Lab.SparseTraining.Corpora.Idioms;

namespace Lab.SparseTraining.Corpora;

/// <summary>
/// Makes a corpus: reads documents, leaves out what is not text or a duplicate, splits by document, trains a tokenizer on the training
/// split and stores the tokens. Equal input and configuration give equal files.
/// </summary>
internal sealed class CorpusBuilder(PythonStandardLibrary? python = null)
{
    private readonly PythonStandardLibrary _python = python ?? PythonStandardLibrary.OfMachine;

    /// <summary>Builds a corpus, on a thread of the pool.</summary>
    /// <param name="config">What to build.</param>
    /// <param name="folder">An empty folder, which receives the corpus's files.</param>
    /// <param name="progress">Is called now and then, on the same thread.</param>
    /// <param name="ct">Stops the work.</param>
    /// <exception cref="ArgumentException">A value is out of range, or nothing can be read ("config.folder.path").</exception>
    public async Task<CorpusSummary> BuildAsync(CorpusConfig config, string folder, Action<CorpusProgress> progress, CancellationToken ct)
    {
        config.Validate();
        IDocumentSource source = await OpenAsync(config.Source, config, ct);
        return await Task.Run(() => Build(config, source, folder, progress, ct), ct);
    }

    private async Task<IDocumentSource> OpenAsync(CorpusSource source, CorpusConfig config, CancellationToken ct)
    {
        switch (source)
        {
            case FolderSource folder:
                return await Task.Run(() => new FolderDocuments("folder", folder, new HashSet<string>(), config.Seed), ct);
            case GeneratedSource generated:
                return new GeneratedDocuments(config.Seed, generated.Bytes);
            case IdiomSource idioms:
                return new IdiomDocuments(config.Seed, idioms.Bytes, idioms.ReadWeights());
            case MixSource mix:
                var parts = new List<(IDocumentSource, double)>();
                foreach (MixPart part in mix.Parts) parts.Add((await OpenAsync(part.Source, config, ct), part.Weight));
                return new MixedDocuments(parts);
        }

        if (await _python.FindAsync(ct) is not { } library)
        {
            var generated = new GeneratedDocuments(config.Seed, config.MaxBytes);
            return generated with { Description = $"{generated.Description}, because no Python standard library was found on this machine" };
        }

        return await Task.Run(() => new FolderDocuments("python_standard_library", new FolderSource(library, [], []), PythonStandardLibrary.ExcludedFolders, config.Seed)
        {
            Description = $"the Python standard library in {library}, without test suites, installed packages, encodings and pydoc_data",
        }, ct);
    }

    private static CorpusSummary Build(CorpusConfig config, IDocumentSource source, string folder, Action<CorpusProgress> progress, CancellationToken ct)
    {
        using var spool = new DocumentSpool(folder);
        (long skipped, long duplicate, List<ulong> splitHashes) = Read(config, source, spool, progress, ct);
        if (spool.Count == 0)
        {
            string field = config.Source is FolderSource ? $"{config.Source.Field}.path" : config.Source.Field;
            throw new ArgumentException($"No text was found: {source.Description}; {skipped} files are binary, not UTF-8, too large or cannot be read.", field);
        }

        DocumentSplit split = DocumentSplit.Of(splitHashes, config.HeldOutFraction);

        LabTokenizer tokenizer = BpeTrainer.Train(Pass("training the tokenizer").Where(part => !part.IsHeldOut).Select(part => part.Text), config.VocabSize, ct);
        using var writer = new TokenCorpusWriter(folder, tokenizer);
        foreach ((string text, bool isHeldOut) in Pass("tokenizing")) writer.Append(text, isHeldOut);
        CorpusInfo info = writer.Complete(counts => counts with
        {
            Source = source.Kind,
            Files = spool.Count,
            FilesSkipped = skipped,
            FilesDuplicate = duplicate,
            Bytes = spool.Bytes,
        });
        return new CorpusSummary(info, Describe(source, split));

        IEnumerable<(string Text, bool IsHeldOut)> Pass(string phase)
        {
            long done = 0;
            for (int i = 0; i < spool.Count; i++)
            {
                ct.ThrowIfCancellationRequested();
                foreach ((string, bool) part in split.Parts(i, spool.Read(i))) yield return part;
                done += spool.BytesOf(i);
                progress(new CorpusProgress(phase, done, spool.Bytes));
            }
        }
    }

    private static (long Skipped, long Duplicate, List<ulong> SplitHashes) Read(
        CorpusConfig config, IDocumentSource source, DocumentSpool spool, Action<CorpusProgress> progress, CancellationToken ct)
    {
        long limit = config.MaxBytes == 0 ? long.MaxValue : config.MaxBytes;
        long total = Math.Min(source.TotalBytes, limit), skipped = 0, duplicate = 0;
        var digests = new HashSet<string>(StringComparer.Ordinal);
        var splitHashes = new List<ulong>();
        foreach (byte[]? bytes in source.Read(ct))
        {
            if (bytes is null || TextDecoder.Decode(bytes) is not { } text)
            {
                skipped++;
                continue;
            }

            if (text.Length == 0) continue;
            byte[] utf8 = Encoding.UTF8.GetBytes(text);
            byte[] digest = SHA256.HashData(utf8);
            if (!digests.Add(Convert.ToHexString(digest)))
            {
                duplicate++;
                continue;
            }

            ReadOnlySpan<byte> kept = TextDecoder.Truncate(utf8, limit - spool.Bytes);
            bool isFragment = kept.Length < utf8.Length && spool.Count > 0 && !kept.EndsWith("\n"u8);
            if (!kept.IsEmpty && !isFragment)
            {
                spool.Add(kept);
                splitHashes.Add(SeededHash.Of(config.Seed, digest));
                progress(new CorpusProgress("reading", spool.Bytes, total));
            }

            if (kept.Length < utf8.Length || spool.Bytes == limit) break;
        }

        return (skipped, duplicate, splitHashes);
    }

    private static string Describe(IDocumentSource source, DocumentSplit split) =>
        split.IsWithinDocument ? $"{source.Description}; the end of the only document is held out" : source.Description;
}
