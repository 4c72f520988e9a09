using System.Text.Json.Nodes;
using Google.Protobuf;
using Lab.Artifacts;
using Lab.Models;
using Lab.Models.Corpora;
using Lab.Models.Folders;
using Lab.ServiceDefaults.Runs;
using Lab.SparseTraining.Training.Interventions;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>Stores the model of a training, at its end or on the way, through a folder of the run.</summary>
internal sealed class TrainedModel(ArtifactStore store, RunContext<Proto.TrainingRun> context, StoredArtifact corpus, InterventionRules interventions)
{
    private static readonly JsonFormatter Formatter = new(JsonFormatter.Settings.Default.WithPreserveProtoFieldNames(true));
    private readonly string _folder = Path.Combine(context.WorkFolder, "model");

    /// <summary>What the model at the end answers, if it was asked.</summary>
    public IReadOnlyList<Proto.TaskAccuracy> TaskAccuracies { get; set; } = [];

    /// <summary>Writes the model's files; on the training's thread.</summary>
    public void Write(TrainingSession session)
    {
        // What a crash left there may be of another step.
        if (Directory.Exists(_folder)) Directory.Delete(_folder, recursive: true);
        Directory.CreateDirectory(_folder);
        TransformerCheckpoint.Save(session.Trainer.Model, _folder);
        CircuitSparsityFolder.Save(session.Trainer.Model, _folder);
        WriteRecord(session);
        File.WriteAllLines(Path.Combine(_folder, "metrics.jsonl"), session.Curve.Evaluations.Select(item => Formatter.Format(item)));
    }

    /// <summary>Puts what was written into the store, and deletes it however that ends.</summary>
    /// <returns>The digest.</returns>
    public async Task<string> StoreAsync(TokenCorpus tokens, CancellationToken ct)
    {
        try
        {
            tokens.Tokenizer.Save(_folder);
            Proto.TrainingConfig config = context.Run.Config;
            ArtifactProvenance provenance = new(
                "training.train",
                new Dictionary<string, string>(interventions.Artifacts) { ["corpus"] = corpus.Digest },
                JsonNode.Parse(JsonFormatter.Default.Format(config))!.AsObject(),
                config.Seed);
            return (await store.PutAsync("model", provenance, (target, _) => CopyAsync(_folder, target), ct)).Digest;
        }
        finally
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    /// <summary>training.json: what was asked for and the loss curve. No times: equal trainings give equal bytes.</summary>
    private void WriteRecord(TrainingSession session)
    {
        Proto.TrainingConfig asked = context.Run.Config.Clone();
        asked.OutputName = "";
        asked.Checkpoints = null;
        JsonObject record = new()
        {
            ["config"] = JsonNode.Parse(Formatter.Format(asked)),
            ["steps"] = session.Trainer.StepsTaken,
            ["decay_steps"] = session.Trainer.Recipe.DecaySteps,
            ["curve"] = new JsonArray([.. session.Curve.Points.Select(point => JsonNode.Parse(Formatter.Format(point)))]),
        };
        if (TaskAccuracies.Count > 0)
            record["task_accuracies"] = new JsonArray([.. TaskAccuracies.Select(score => JsonNode.Parse(Formatter.Format(score)))]);
        File.WriteAllText(Path.Combine(_folder, "training.json"), record.ToJsonString() + "\n");
    }

    private static Task CopyAsync(string source, string target)
    {
        foreach (string file in Directory.EnumerateFiles(source)) File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        return Task.CompletedTask;
    }
}
