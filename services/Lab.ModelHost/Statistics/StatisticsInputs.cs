using Lab.Artifacts;
using Lab.ModelHost.Mapping;
using Lab.ModelHost.Residents;
using Lab.ModelHost.Sources;
using Lab.Models.Corpora;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Statistics;

/// <summary>Finds what statistics are to be measured over.</summary>
internal sealed class StatisticsInputs(ArtifactStore store, IntactFiles intact)
{
    /// <summary>Opens the batches or the corpus of a request.</summary>
    /// <returns>The tokens, to be disposed; and the corpus's digest, or null.</returns>
    public async Task<(IStatisticsInput Input, string? Corpus)> OpenAsync(CollectStatisticsRequest request, ResidentModel model, CancellationToken ct)
    {
        if (request.Corpus is null == (request.Inputs.Count == 0)) throw new InvalidRequestException("inputs", "Either inputs or a corpus is required.");
        if (request.Corpus is null) return (new RequestBatches([.. request.Inputs.Select((input, i) => input.ToBatch(model, $"inputs[{i}]"))]), null);
        StoredArtifact artifact = await store.RequireAsync(request.Corpus.Artifact, TokenCorpus.Kind, "corpus.artifact", ct);
        await intact.RequireAsync(artifact, ct);
        TokenCorpus corpus = TokenCorpus.Open(store, artifact);
        try
        {
            RequireVocabulary(corpus, model);
            return (Rows(request.Corpus, corpus, model), artifact.Digest);
        }
        catch
        {
            corpus.Dispose();
            throw;
        }
    }

    private static CorpusBatches Rows(CorpusInput input, TokenCorpus corpus, ResidentModel model)
    {
        TokenSplit split = input.Split switch
        {
            "" or "train" => corpus.Train,
            "held_out" => corpus.HeldOut,
            _ => throw new InvalidRequestException("corpus.split", $"'{input.Split}' is no split: it is train or held_out."),
        };
        if (input.RowTokens < 0 || input.RowTokens > model.Config.NCtx) throw new InvalidRequestException("corpus.row_tokens", $"A row has from 1 to {model.Config.NCtx} tokens.");
        int rowTokens = input.RowTokens == 0 ? model.Config.NCtx : input.RowTokens;
        long total = split.Length / rowTokens;
        if (input.FirstRow < 0 || input.FirstRow >= total) throw new InvalidRequestException("corpus.first_row", $"Row {input.FirstRow} is out of range: the split has {total} rows of {rowTokens} tokens, from 0.");
        long rest = total - input.FirstRow;
        if (input.RowCount < 0 || input.RowCount > rest) throw new InvalidRequestException("corpus.row_count", $"{input.RowCount} rows are not there: {rest} follow row {input.FirstRow}.");
        return new CorpusBatches(corpus, split, model, rowTokens, input.FirstRow, input.RowCount == 0 ? rest : input.RowCount);
    }

    private static void RequireVocabulary(TokenCorpus corpus, ResidentModel model)
    {
        int size = corpus.Tokenizer.VocabSize;
        bool isSame = size == model.TokenizerOf().VocabSize && Enumerable.Range(0, size).All(id => corpus.Tokenizer.TokenText(id) == model.TokenizerOf().TokenText(id));
        if (!isSame) throw new InvalidRequestException("corpus.artifact", $"The corpus is of another vocabulary: its tokens are not those of {model.Name}.");
    }
}
