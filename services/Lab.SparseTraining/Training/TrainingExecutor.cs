using Lab.Artifacts;
using Lab.Models;
using Lab.Models.Corpora;
using Lab.Models.Tasks;
using Lab.ServiceDefaults.Runs;
using Lab.SparseTraining.Training.Interventions;
using Lab.Tensors;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>Does the work of a TrainingRun: trains on its own tensor thread, checkpoints, publishes, and stores the model.</summary>
/// <param name="store">Has the corpus and takes the models.</param>
/// <param name="peak">The machine's rate.</param>
/// <param name="time">The clock.</param>
/// <param name="create">Creates the file of a checkpoint; a seam.</param>
internal sealed class TrainingExecutor(ArtifactStore store, MatmulPeak peak, TimeProvider time, Func<string, Stream>? create = null) : IRunExecutor<Proto.TrainingRun>
{
    public async Task ExecuteAsync(RunContext<Proto.TrainingRun> context, CancellationToken ct)
    {
        Proto.TrainingConfig config = context.Run.Config;
        StoredArtifact corpusArtifact = await store.GetAsync(config.Corpus, ct);
        using TokenCorpus corpus = TokenCorpus.Open(store, corpusArtifact);
        TransformerConfig architecture = TrainingMapping.ToTransformerConfig(config.Model, corpus.Tokenizer.VocabSize);
        TrainingRecipe recipe = TrainingRunMapping.ToRecipe(context.Run);
        InterventionRules interventions = await InterventionRules.ReadAsync(store, config, corpus.Tokenizer, ct);
        TrainedModel model = new(store, context, corpusArtifact, interventions);

        await using TensorWorker worker = new(context.Run.Name);
        TrainingSession session = await worker.RunAsync(
            _ => new TrainingSession(context, new SparseTrainer(architecture, recipe, corpus.Train, corpus.HeldOut, config.Seed, interventions.Rules), create, peak, time), ct);
        try
        {
            while (!await worker.RunAsync(token => TrainOn(context, session, corpus, model, token), ct))
                await PublishAsync(context, await model.StoreAsync(corpus, ct), session.Trainer.StepsTaken, ct);
        }
        finally
        {
            await worker.RunAsync(_ => session.Dispose(), CancellationToken.None);
        }

        string digest = await model.StoreAsync(corpus, ct);
        if (config.OutputName.Length > 0) await store.SetNameAsync(config.OutputName, digest, ct);
        await PointAsync(config, digest, ct);
        context.Update(run => (run.Model, run.End) = (digest, session.Ended), persist: true);
    }

    private static bool TrainOn(RunContext<Proto.TrainingRun> context, TrainingSession session, TokenCorpus corpus, TrainedModel model, CancellationToken ct)
    {
        bool hasEnded = session.TrainOn(ct);
        if (hasEnded && context.Run.Config.TaskPairs > 0)
        {
            Proto.TrainingConfig config = context.Run.Config;
            model.TaskAccuracies = [.. TaskAccuracy.Measure(session.Trainer.Model, corpus.Tokenizer, config.TaskPairs, config.Seed, PromptSplit.HeldOut, ct).Select(ToProto)];
            context.Update(
                run =>
                {
                    run.TaskAccuracies.Clear();
                    run.TaskAccuracies.Add(model.TaskAccuracies);
                },
                persist: true);
        }

        model.Write(session);
        return hasEnded;
    }

    private static Proto.TaskAccuracy ToProto(TaskScore score)
    {
        Proto.TaskAccuracy message = new() { Task = score.Task, Prompts = score.Prompts, Obstacle = score.Obstacle ?? "" };
        if (score.Prompts > 0) (message.Accuracy, message.MeanLogOdds) = (score.Accuracy, score.MeanLogOdds);
        return message;
    }

    private async Task PublishAsync(RunContext<Proto.TrainingRun> context, string digest, long step, CancellationToken ct)
    {
        await PointAsync(context.Run.Config, digest, ct);
        context.Update(run => (run.PublishedModel, run.PublishedStep) = (digest, step), persist: true);
    }

    private async Task PointAsync(Proto.TrainingConfig config, string digest, CancellationToken ct)
    {
        if (config.Checkpoints?.PublishName is { Length: > 0 } name) await store.SetNameAsync(name, digest, ct);
    }
}
