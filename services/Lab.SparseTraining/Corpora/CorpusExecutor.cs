using System.Text.Json.Nodes;
using Google.Protobuf;
using Lab.Artifacts;
using Lab.Models.Corpora;
using Lab.ServiceDefaults.Runs;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Corpora;

/// <summary>Does the work of a CorpusRun. An interrupted run begins anew, and gives the same corpus.</summary>
internal sealed class CorpusExecutor(ArtifactStore store) : IRunExecutor<Proto.CorpusRun>
{
    public async Task ExecuteAsync(RunContext<Proto.CorpusRun> context, CancellationToken ct)
    {
        Proto.CorpusConfig config = context.Run.Config;
        CorpusSummary? summary = null;
        ArtifactProvenance provenance = new(
            "corpus.prepare",
            new Dictionary<string, string>(),
            JsonNode.Parse(JsonFormatter.Default.Format(config))!.AsObject(),
            config.Seed);
        StoredArtifact corpus = await store.PutAsync(
            "corpus",
            provenance,
            async (folder, token) => summary = await new CorpusBuilder().BuildAsync(
                CorpusMapping.ToCore(config),
                folder,
                progress => context.Report(progress.Phase, progress.Completed, progress.Total, CorpusProgress.Unit),
                token),
            ct);
        CorpusInfo info = summary!.Info;
        context.Update(
            run =>
            {
                run.Corpus = corpus.Digest;
                run.SourceDescription = summary.SourceDescription;
                var metrics = run.Status.Metrics;
                metrics["files"] = info.Files;
                metrics["files_skipped"] = info.FilesSkipped;
                metrics["files_duplicate"] = info.FilesDuplicate;
                metrics["bytes"] = info.Bytes;
                metrics["train_tokens"] = info.TrainTokens;
                metrics["held_out_tokens"] = info.HeldOutTokens;
                metrics["vocab_size"] = info.VocabSize;
            },
            persist: true);
    }
}
