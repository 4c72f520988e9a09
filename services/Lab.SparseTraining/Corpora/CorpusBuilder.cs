using Lab.Models.Corpora;
using Lab.Models.Tokenizers;
using Lab.SparseTraining.Corpora.Dialogues;
using Lab.SparseTraining.Corpora.Generated;
using Lab.SparseTraining.Corpora.Idioms;

namespace Lab.SparseTraining.Corpora;

/// <summary>
/// Makes a corpus: reads documents, leaves out what is not text or a duplicate, splits by document, trains a tokenizer on the training
/// split and stores the tokens. Equal input and configuration give equal files. Text lies on disk, so that memory does not grow with it.
/// </summary>
internal sealed class CorpusBuilder(PythonStandardLibrary? python = null, CorpusLimits? limits = null)
{
    private readonly CorpusLimits _limits = limits ?? CorpusLimits.Default;
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
                return await Task.Run(() => new FolderDocuments("folder", folder, new HashSet<string>(), config.Seed, ct), ct);
            case GeneratedSource generated:
                return new GeneratedDocuments(config.Seed, generated.Bytes);
            case IdiomSource idioms:
                return new IdiomDocuments(config.Seed, idioms.Bytes, idioms.ReadWeights());
            case DialogueSource { Files: { } files }:
                FolderSource lines = files.Patterns.Count == 0 ? files with { Patterns = ["**/*.jsonl"] } : files;
                return new DialogueFiles(await Task.Run(() => new FolderDocuments("dialogue", lines, new HashSet<string>(), config.Seed, ct), ct), files.Field);
            case DialogueSource dialogues:
                return new GeneratedDialogues(config.Seed, dialogues.Bytes, dialogues.NoticedFraction);
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

        return await Task.Run(() => new FolderDocuments("python_standard_library", new FolderSource(library, [], []), PythonStandardLibrary.ExcludedFolders, config.Seed, ct)
        {
            Description = $"the Python standard library in {library}, without test suites, installed packages, encodings and pydoc_data",
        }, ct);
    }

    private CorpusSummary Build(CorpusConfig config, IDocumentSource source, string folder, Action<CorpusProgress> progress, CancellationToken ct)
    {
        IDocumentFormat format = config.Source.Format;
        using var documents = CorpusDocuments.Read(config, source, folder, _limits, progress, ct);
        DocumentSpool spool = documents.Spool;
        (int files, long bytes) = (spool.Count, spool.Bytes);
        DocumentSplit split = Split(config, source, documents);

        ICorpusTokenizer tokenizer = format.Train(Sample().Where(piece => !piece.IsHeldOut).Select(piece => piece.Text), config.VocabSize, ct);
        progress(new CorpusProgress("training the tokenizer", bytes, bytes));
        using var writer = new TokenCorpusWriter(folder, tokenizer);
        var tokens = new CorpusTokens(format, tokenizer, writer, _limits.BatchBytes);
        tokens.Write(Pass("tokenizing"), ct);
        CorpusInfo info = writer.Complete(counts => counts with
        {
            Source = source.Kind,
            Files = files,
            FilesSkipped = documents.Skipped,
            FilesDuplicate = documents.Duplicate,
            Bytes = bytes,
        });
        string description = files == 1 ? $"{source.Description}; the end of the only document is held out" : source.Description;
        return new CorpusSummary(info, description) { PeakBuffered = tokens.PeakBuffered };

        IEnumerable<DocumentPiece> Sample()
        {
            long taken = 0;
            return Pass("training the tokenizer").TakeWhile(piece => piece.IsHeldOut || (taken += piece.Text.Length) - piece.Text.Length < _limits.TokenizerBytes);
        }

        IEnumerable<DocumentPiece> Pass(string phase)
        {
            long done = 0;
            for (int i = 0; i < spool.Count; i++)
            {
                ct.ThrowIfCancellationRequested();
                string? before = null;
                foreach (string piece in spool.Read(i, format.CanBeCut ? _limits.PieceBytes : long.MaxValue))
                {
                    if (before is not null) yield return new DocumentPiece(before, split.IsHeldOut(i), IsLast: false);
                    before = piece;
                }

                yield return new DocumentPiece(before ?? "", split.IsHeldOut(i), IsLast: true);
                done += spool.BytesOf(i);
                progress(new CorpusProgress(phase, done, bytes));
            }
        }
    }

    private static DocumentSplit Split(CorpusConfig config, IDocumentSource source, CorpusDocuments documents)
    {
        DocumentSpool spool = documents.Spool;
        FolderSource? files = config.Source as FolderSource ?? (config.Source as DialogueSource)?.Files;
        string field = files is null ? config.Source.Field : $"{files.Field}.path";
        if (spool.Count == 0) throw new ArgumentException($"No text was found: {source.Description}; {documents.Skipped} files are binary, not UTF-8 or cannot be read.", field);
        if (spool.Count > 1) return DocumentSplit.Of(documents.SplitHashes, config.HeldOutFraction);
        if (!config.Source.Format.CanBeCut) throw new ArgumentException($"There is only one document, of which nothing can be held out: {source.Description}.", field);
        spool.Split((long)(spool.Bytes * (1 - config.HeldOutFraction)));
        return DocumentSplit.OfTwo;
    }
}
