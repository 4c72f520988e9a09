using Lab.Artifacts;
using Lab.CircuitAnalysis.Means;
using Lab.CircuitAnalysis.Pruning;
using Lab.CircuitAnalysis.Reports;
using Lab.Models;
using Lab.Models.Corpora;
using Lab.Models.Tasks;
using Lab.Models.Tokenizers;
using Lab.Protos.CircuitAnalysis.V1;
using Lab.ServiceDefaults.Errors;
using Lab.ServiceDefaults.Runs;
using Lab.Tensors;

namespace Lab.CircuitAnalysis.Runs;

/// <summary>Finds, verifies and stores the circuit of one run. What an earlier execution finished is in the work folder.</summary>
internal sealed class PruningExecutor(ArtifactStore store, IMeanActivations meanActivations, PruningDevice device) : IRunExecutor<PruningRun>
{
    private const string MeansFile = "means.safetensors", MeansName = "means";

    public async Task ExecuteAsync(RunContext<PruningRun> context, CancellationToken ct)
    {
        PruningConfig config = context.Run.Config;
        PruningSettings settings = config.ToSettings();
        PruningInputs inputs = await PruningInputs.PinAsync(store, config, context.WorkFolder, ct);
        await using TensorWorker worker = new($"pruning {context.Run.Name}");
        using Transformer model = await worker.RunAsync(_ => Load(inputs.Model), ct);
        float[] means = await MeansAsync(context, inputs, model, settings, ct);
        TaskPrompts prompts = Prompts(config.Task, inputs.Model, model.Config, settings);
        CircuitPruner pruner = new(model, means, prompts, settings, new SearchFolder(context.WorkFolder), new PruningProgress(context));
        Circuit circuit = await worker.RunAsync(pruner.Run, ct);

        CircuitHeader header = new(config.Task, config.Model, config.Corpus, settings.TargetLoss, settings.Seed);
        ArtifactProvenance provenance = new($"CircuitAnalysis/{context.Run.Name}", inputs.Digests, config.ToJson(), settings.Seed);
        StoredArtifact artifact = await store.PutAsync(
            CircuitArtifact.Kind, provenance, (folder, token) => CircuitArtifact.WriteAsync(folder, header, circuit, token), ct);
        if (config.OutputName.Length > 0) await store.SetNameAsync(config.OutputName, artifact.Digest, ct);
        context.Update(run =>
        {
            run.Circuit = artifact.Digest;
            run.Evaluation = circuit.Measurement.ToProto();
            foreach ((string name, double value) in circuit.Measurement.Metrics()) run.Status.Metrics[name] = value;
        });
    }

    private Transformer Load(StoredArtifact model) =>
        TransformerCheckpoint.Load(store.GetPath(model, TransformerCheckpoint.ConfigFile), store.GetPath(model, TransformerCheckpoint.WeightsFile), device.Device);

    private async Task<float[]> MeansAsync(RunContext<PruningRun> context, PruningInputs inputs, Transformer model, PruningSettings settings, CancellationToken ct)
    {
        NodeLayout layout = new(model.Hooks);
        string path = Path.Combine(context.WorkFolder, MeansFile);
        if (File.Exists(path))
        {
            using SafetensorsFile file = SafetensorsFile.Open(path);
            return file.Read(MeansName).Floats.ToArray();
        }

        using TokenCorpus corpus = TokenCorpus.Open(store, inputs.Corpus);
        if (corpus.Info.VocabSize > model.Config.DVocab)
            throw new FailedPreconditionException("VOCABULARY_MISMATCH", $"The corpus has a vocabulary of {corpus.Info.VocabSize} where the model has one of {model.Config.DVocab}.");
        if (corpus.Train.Length == 0) throw new FailedPreconditionException("EMPTY_CORPUS", "The corpus has no tokens to take means over.");
        IReadOnlyList<long[]> rows = MeanRows.Read(corpus.Train, settings.MeanTokens, model.Config.NCtx);
        float[] means = await meanActivations.MeasureAsync(
            inputs.Model.Digest, layout, rows, done => context.Report("measuring means", done, rows.Count, "rows"), ct);
        SafetensorsWriter.Write(path, [HostTensor.FromFloats(MeansName, means, means.Length)]);
        return means;
    }

    private TaskPrompts Prompts(string taskName, StoredArtifact model, TransformerConfig config, PruningSettings settings)
    {
        ICorpusTokenizer tokenizer = CorpusTokenizer.Load(file => model.Files.Any(stored => stored.Path == file), file => store.GetPath(model, file));
        var task = PythonTask.Get(taskName, "config.task");
        return new TaskPrompts(
            Pairs(PromptSplit.Train, settings.TrainingPairs), Pairs(PromptSplit.HeldOut, settings.HeldOutPairs), Pairs(PromptSplit.Test, settings.HeldOutPairs));

        TaskPair[] Pairs(PromptSplit split, int count) =>
            [.. TaskTokens.Pairs(tokenizer, task, settings.Seed, count, split, config.NCtx).Select(pair => new TaskPair(Prompt(pair.A), Prompt(pair.B)))];

        static TaskPrompt Prompt(TokenizedPrompt prompt) => new(prompt.Tokens, prompt.Target, prompt.Alternative);
    }
}
