using Lab.Artifacts;
using Lab.Models;
using Lab.Models.Tokenizers;
using Lab.ServiceDefaults;
using Lab.Tensors;
using Microsoft.Extensions.Options;

namespace Lab.ModelHost.Residents;

/// <summary>Makes stored models resident.</summary>
internal sealed class ModelLoader(ArtifactStore store, IOptions<LabOptions> lab, IOptions<ModelHostOptions> options)
{
    private readonly TorchSharp.torch.Device _device = TorchRuntime.Configure(lab.Value.Device, lab.Value.Threads);

    /// <summary>Verifies an artifact and loads it.</summary>
    /// <exception cref="InvalidDataException">A file changed, is missing or malformed.</exception>
    public async Task<ResidentModel> LoadAsync(string name, StoredArtifact artifact, CancellationToken ct)
    {
        await store.VerifyAsync(artifact, ct);
        LabTokenizer tokenizer = LabTokenizer.Load(PathOf(artifact, "vocab.json"), PathOf(artifact, "merges.txt"));
        TensorWorker worker = new($"model {name}", options.Value.QueueCapacity);
        Transformer? gpt = null;
        bool isLoaded = false;
        try
        {
            ModelFacts facts = await worker.RunAsync(
                _ =>
                {
                    gpt = TransformerCheckpoint.Load(PathOf(artifact, TransformerCheckpoint.ConfigFile), PathOf(artifact, TransformerCheckpoint.WeightsFile), _device);
                    if (gpt.Config.DVocab < tokenizer.VocabSize)
                    {
                        throw new InvalidDataException($"The artifact {artifact.Digest} has a tokenizer of {tokenizer.VocabSize} tokens for a model of {gpt.Config.DVocab}.");
                    }

                    return ModelFacts.Of(gpt);
                },
                ct);
            isLoaded = true;
            return new ResidentModel(name, artifact.Digest, gpt!, tokenizer, worker, facts);
        }
        finally
        {
            if (!isLoaded)
            {
                await worker.DisposeAsync();
                gpt?.Dispose();
            }
        }
    }

    private string PathOf(StoredArtifact artifact, string file) =>
        artifact.Files.Any(stored => stored.Path == file)
            ? store.GetPath(artifact, file)
            : throw new InvalidDataException($"The artifact {artifact.Digest} is no model: it has no file '{file}'.");
}
