using Lab.Artifacts;
using Lab.Models;
using Lab.ServiceDefaults.Errors;
using Lab.ServiceDefaults.Runs;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>Begins a training from a checkpoint of another run.</summary>
internal sealed class TrainingForks(RunRegistry<Proto.TrainingRun> trainings, ArtifactStore store)
{
    private static readonly string[] TokenizerFiles = ["vocab.json", "merges.txt", "words.json"];

    /// <summary>Checks a config with a fork, and fills in the model where it was left out. Does nothing to one without.</summary>
    /// <param name="config">The config.</param>
    /// <param name="corpus">Its corpus.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <exception cref="InvalidRequestException">Names the field that is wrong.</exception>
    public async Task CheckAsync(Proto.TrainingConfig config, StoredArtifact corpus, CancellationToken ct)
    {
        if (config.Fork is null) return;
        Proto.TrainingConfig source = Source(config).Config;
        config.Model ??= source.Model?.Clone() ?? new Proto.ModelConfig();
        if (Shapes(config) != Shapes(source))
            throw new InvalidRequestException("config.model", $"has other shapes than the model of {config.Fork.TrainingRun}; leave it out to have the same");
        StoredArtifact its = await store.FindAsync(source.Corpus, ct)
            ?? throw new InvalidRequestException("config.fork.training_run", $"its corpus {source.Corpus} is not stored any more");
        if (!Tokenizer(corpus).SequenceEqual(Tokenizer(its)))
            throw new InvalidRequestException("config.corpus", $"has another tokenizer than the corpus of {config.Fork.TrainingRun}");
    }

    /// <summary>Copies the checkpoint into the folder of the new run, which begins with it as a run that goes on does.</summary>
    /// <exception cref="InvalidRequestException">Names the field that is wrong.</exception>
    public void Prepare(Proto.TrainingConfig config, string folder)
    {
        if (config.Fork is not { } fork) return;
        string source = trainings.WorkFolder(fork.TrainingRun);
        IReadOnlyList<long> steps = CheckpointFolder.StepsIn(source);
        long step = fork.Step == 0 && steps.Count > 0 ? steps[^1] : fork.Step;
        string path = CheckpointFolder.PathOf(source, step);
        try
        {
            if (!steps.Contains(step)) throw new FileNotFoundException(null, path);
            if (TrainingMapping.ToRecipe(config.Recipe).Steps is long all && all <= step)
                throw new InvalidRequestException("config.recipe.steps", $"must be more than the {step} steps that the fork begins with, not {all}");
            File.Copy(path, CheckpointFolder.PathOf(folder, step));
        }
        catch (FileNotFoundException)
        {
            // Or it was the oldest, and has just been replaced.
            throw new InvalidRequestException("config.fork.step", $"{fork.TrainingRun} keeps checkpoints of the steps [{string.Join(", ", CheckpointFolder.StepsIn(source))}], not of {step}");
        }
    }

    private static TransformerConfig Shapes(Proto.TrainingConfig config) =>
        TrainingMapping.ToTransformerConfig(config.Model, vocabSize: 1) with { ActivationFraction = 1, ActivationSites = AbsTopKSites.All };

    private Proto.TrainingRun Source(Proto.TrainingConfig config)
    {
        try
        {
            return trainings.Get(config.Fork.TrainingRun);
        }
        catch (NotFoundException)
        {
            throw new InvalidRequestException("config.fork.training_run", $"there is no {config.Fork.TrainingRun}");
        }
        catch (InvalidRequestException e)
        {
            throw new InvalidRequestException("config.fork.training_run", e.Message);
        }
    }

    private static IEnumerable<(string Path, string Digest)> Tokenizer(StoredArtifact corpus) =>
        corpus.Files.Where(file => TokenizerFiles.Contains(file.Path)).Select(file => (file.Path, file.Digest));
}
