using System.Diagnostics;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Lab.Artifacts;
using Lab.Models;
using Lab.Models.Corpora;
using Lab.Models.Folders;
using Lab.ServiceDefaults.Runs;
using Lab.SparseTraining.Training.Interventions;
using Lab.Tensors;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>Does the work of a TrainingRun: trains on its own tensor thread, checkpoints, and stores the model.</summary>
internal sealed class TrainingExecutor(ArtifactStore store, TimeProvider time) : IRunExecutor<Proto.TrainingRun>
{
    public async Task ExecuteAsync(RunContext<Proto.TrainingRun> context, CancellationToken ct)
    {
        Proto.TrainingConfig config = context.Run.Config;
        StoredArtifact corpusArtifact = await store.GetAsync(config.Corpus, ct);
        using TokenCorpus corpus = TokenCorpus.Open(store, corpusArtifact);
        TransformerConfig architecture = TrainingMapping.ToTransformerConfig(config.Model, corpus.Tokenizer.VocabSize);
        TrainingRecipe recipe = TrainingMapping.ToRecipe(config.Recipe);
        InterventionRules interventions = await InterventionRules.ReadAsync(store, config, corpus.Tokenizer, ct);

        await using TensorWorker worker = new(context.Run.Name);
        string folder = Path.Combine(context.WorkFolder, "model");
        await worker.RunAsync(
            token =>
            {
                using SparseTrainer trainer = new(architecture, recipe, corpus.Train, corpus.HeldOut, config.Seed, interventions.Rules);
                TrainingCurve curve = Train(context, trainer, token);
                Directory.CreateDirectory(folder);
                TransformerCheckpoint.Save(trainer.Model, folder);
                CircuitSparsityFolder.Save(trainer.Model, folder);
                WriteRecord(folder, config, curve);
                return true;
            },
            ct);
        corpus.Tokenizer.Save(folder);

        ArtifactProvenance provenance = new(
            "training.train",
            new Dictionary<string, string>(interventions.Artifacts) { ["corpus"] = corpusArtifact.Digest },
            JsonNode.Parse(JsonFormatter.Default.Format(config))!.AsObject(),
            config.Seed);
        StoredArtifact model = await store.PutAsync("model", provenance, (target, _) => CopyAsync(folder, target), ct);
        if (config.OutputName.Length > 0) await store.SetNameAsync(config.OutputName, model.Digest, ct);
        context.Update(run => run.Model = model.Digest, persist: true);
        Directory.Delete(folder, recursive: true);
    }

    private TrainingCurve Train(RunContext<Proto.TrainingRun> context, SparseTrainer trainer, CancellationToken ct)
    {
        TrainingRecipe recipe = trainer.Recipe;
        TrainingCurve curve = new(recipe.Steps);
        TrainingCheckpoint.TryRestore(context.WorkFolder, trainer, curve);
        // Points beyond the checkpoint are of steps that are taken again.
        context.Update(run =>
        {
            run.Curve.Clear();
            run.Curve.Add(curve.Points);
        });

        TrainingMonitor monitor = new(context, trainer, time.GetTimestamp(), time);
        while (trainer.StepsTaken < recipe.Steps && !HasReachedTarget(trainer, curve))
        {
            if (ct.IsCancellationRequested)
            {
                // Cancelled, or the service stops: what is done is kept.
                Checkpoint(context, trainer, curve);
                ct.ThrowIfCancellationRequested();
            }

            StepResult result = trainer.Step();
            bool evaluates = result.Step % recipe.EvaluationInterval == 0 || result.Step == recipe.Steps;
            HeldOutEvaluation? evaluation = evaluates ? trainer.Evaluate(ct) : null;
            double? intervenedLoss = evaluates && context.Run.Config.EvaluateInterventions ? trainer.EvaluateIntervened(ct) : null;
            bool hasPoint = curve.Add(result.Step, result.Loss, evaluation?.Loss, () => trainer.L0Fraction);
            monitor.Report(result, evaluation, hasPoint ? curve.Points[^1] : null);
            if (trainer.Interventions is { } interventions) monitor.ReportInterventions(interventions.Counts, intervenedLoss);
            if (result.Step % recipe.CheckpointInterval == 0) Checkpoint(context, trainer, curve);
        }

        // A crash while the model is being stored must not train again.
        Checkpoint(context, trainer, curve);
        monitor.ReportEnd();
        return curve;
    }

    /// <summary>Judged by the curve, which checkpoints keep: a training that had reached its target is not gone on with.</summary>
    private static bool HasReachedTarget(SparseTrainer trainer, TrainingCurve curve) =>
        trainer.IsAnnealed && curve.Points is [.., { HasHeldOutLoss: true } last] && last.Step == trainer.StepsTaken
        && last.HeldOutLoss <= trainer.Recipe.TargetHeldOutLoss;

    private static void Checkpoint(RunContext<Proto.TrainingRun> context, SparseTrainer trainer, TrainingCurve curve)
    {
        // The run's record first: if this is the last checkpoint, nothing measures the metrics again after a crash.
        context.Update(_ => { }, persist: true);
        TrainingCheckpoint.Save(context.WorkFolder, trainer, curve);
    }

    /// <summary>training.json: what was asked for and the loss curve. No times: equal trainings give equal bytes.</summary>
    private static void WriteRecord(string folder, Proto.TrainingConfig config, TrainingCurve curve)
    {
        Proto.TrainingConfig asked = config.Clone();
        asked.OutputName = "";
        JsonFormatter formatter = new(JsonFormatter.Settings.Default.WithPreserveProtoFieldNames(true));
        JsonObject record = new()
        {
            ["config"] = JsonNode.Parse(formatter.Format(asked)),
            ["curve"] = new JsonArray([.. curve.Points.Select(point => JsonNode.Parse(formatter.Format(point)))]),
        };
        File.WriteAllText(Path.Combine(folder, "training.json"), record.ToJsonString() + "\n");
    }

    private static Task CopyAsync(string source, string target)
    {
        foreach (string file in Directory.EnumerateFiles(source)) File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        return Task.CompletedTask;
    }
}
