using Lab.Artifacts;
using Lab.BridgeAlignment.Bridges;
using Lab.BridgeAlignment.Evaluation;
using Lab.BridgeAlignment.Streams;
using Lab.Models.Corpora;
using Lab.Protos.BridgeAlignment.V1;
using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Runs;
using Lab.Tensors;
using Microsoft.Extensions.Options;
using static TorchSharp.torch;

namespace Lab.BridgeAlignment.Runs;

/// <summary>Trains, evaluates and stores the bridge of one run, from its last checkpoint on if it has one.</summary>
internal sealed class AlignmentExecutor(ArtifactStore store, IActivationSource source, IOptions<LabOptions> options) : IRunExecutor<AlignmentRun>
{
    /// <summary>Steps from one checkpoint to the next.</summary>
    internal const int CheckpointInterval = 50;

    public async Task ExecuteAsync(RunContext<AlignmentRun> context, CancellationToken ct)
    {
        // A crash after the last update and before the run's end leaves nothing more to do.
        if (context.Run.Bridge.Length > 0) return;
        AlignmentConfig config = AlignmentDefaults.Fill(context.Run.Config);
        AlignmentInputs inputs = await AlignmentInputs.FindAsync(store, Pinned(config, context.WorkFolder), ct);
        config.SequenceLength = inputs.SequenceLength;
        await Task.WhenAll(source.PrepareAsync(inputs.Dense.Digest, ct), source.PrepareAsync(inputs.Sparse.Digest, ct));

        Device device = TorchRuntime.Configure(options.Value.Device, options.Value.Threads);
        await using var worker = new TensorWorker($"bridge {context.Run.Name}");
        using Bridge bridge = await worker.RunAsync(_ => Bridge.Zero(inputs.ToShape(config.EncoderActivationFraction), device), ct);
        using TokenCorpus corpus = TokenCorpus.Open(store, inputs.Corpus);
        await TrainAsync(context, config, inputs, corpus.Train, bridge, worker, ct);
        BridgeScore score = await EvaluateAsync(context, config, inputs, corpus.HeldOut, bridge, worker, ct);

        IReadOnlyList<HostTensor> parameters = await worker.RunAsync(_ => bridge.Save(), ct);
        var description = new BridgeDescription(
            inputs.Digests, bridge.Shape, config.Steps, config.BatchSize, config.SequenceLength, config.LearningRate, config.Seed, score);
        var provenance = new ArtifactProvenance($"BridgeAlignment/{context.Run.Name}", inputs.Digests, AlignmentMapping.ToJson(config), config.Seed);
        StoredArtifact artifact = await store.PutAsync(
            BridgeArtifact.Kind, provenance, (folder, token) => BridgeArtifact.WriteAsync(folder, parameters, description, token), ct);
        if (config.OutputName.Length > 0) await store.SetNameAsync(config.OutputName, artifact.Digest, ct);
        context.Update(run => AlignmentMapping.Complete(run, artifact.Digest, score), persist: true);
        AlignmentCheckpoint.Delete(context.WorkFolder);
    }

    private async Task TrainAsync(
        RunContext<AlignmentRun> context, AlignmentConfig config, AlignmentInputs inputs, TokenSplit split, Bridge bridge, TensorWorker worker, CancellationToken ct)
    {
        using BridgeTrainer trainer = await worker.RunAsync(_ => Resume(context.WorkFolder, new BridgeTrainer(bridge, config.Steps, config.LearningRate)), ct);
        TokenSampler sampler = new(split.Length, split.Read);
        ResidualStream stream = new(source, inputs.Dense.Digest, inputs.Sparse.Digest, bridge.Shape.Sites);
        context.Report("training", trainer.Step, config.Steps, "steps");
        await foreach (ResidualBatch batch in stream.ReadAllAsync(
            trainer.Step, config.Steps, step => sampler.Draw(config.Seed, step, config.BatchSize, inputs.SequenceLength), ct))
        {
            double loss = await worker.RunAsync(
                _ =>
                {
                    double value = trainer.Train(batch.Dense, batch.Sparse);
                    if (trainer.Step % CheckpointInterval == 0 || trainer.Step == config.Steps)
                        AlignmentCheckpoint.Save(context.WorkFolder, trainer, inputs.Digests);
                    return value;
                },
                ct);
            context.Report("training", trainer.Step, config.Steps, "steps");
            context.Metric("step", trainer.Step);
            context.Metric("loss", loss);
        }
    }

    private Task<BridgeScore> EvaluateAsync(
        RunContext<AlignmentRun> context, AlignmentConfig config, AlignmentInputs inputs, TokenSplit split, Bridge bridge, TensorWorker worker, CancellationToken ct)
    {
        TokenBatch batch = new TokenSampler(split.Length, split.Read).Spread(config.EvaluationSequences, inputs.SequenceLength);
        BridgeEvaluator evaluator = new(bridge, worker, source, inputs.Dense.Digest, inputs.Sparse.Digest, inputs.DenseConfig.DVocab);
        return evaluator.EvaluateAsync(batch, (done, total) => context.Report("evaluation", done, total, "passes"), ct);
    }

    private static BridgeTrainer Resume(string folder, BridgeTrainer trainer)
    {
        AlignmentCheckpoint.Restore(folder, trainer);
        return trainer;
    }

    /// <summary>The config with the names of its inputs replaced by the digests that an earlier execution found under them.</summary>
    private static AlignmentConfig Pinned(AlignmentConfig config, string folder)
    {
        if (AlignmentCheckpoint.ReadInputs(folder) is not { } inputs) return config;
        AlignmentConfig pinned = config.Clone();
        pinned.DenseModel = inputs["dense_model"];
        pinned.SparseModel = inputs["sparse_model"];
        pinned.Corpus = inputs["corpus"];
        return pinned;
    }
}
