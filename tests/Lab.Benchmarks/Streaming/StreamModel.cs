using Lab.Artifacts;
using Lab.Models;
using Lab.Models.Tokenizers;

namespace Lab.Benchmarks.Streaming;

/// <summary>A mid-sized model with random weights in an artifact store.</summary>
internal static class StreamModel
{
    public const string Name = "models/stream";

    public static TransformerConfig Config { get; } = new()
    {
        NLayers = 8,
        DModel = 256,
        NHeads = 8,
        DHead = 32,
        DMlp = 1024,
        DVocab = BpeTrainer.MinVocabSize,
        NCtx = 512,
        Positions = PositionKind.Learned,
    };

    /// <summary>Stores the model under <see cref="Name"/>.</summary>
    public static async Task StoreAsync(string data, CancellationToken ct)
    {
        ArtifactStore store = new(Path.Combine(data, "artifacts"));
        StoredArtifact model = await store.PutAsync(
            "model",
            new ArtifactProvenance("Lab.Benchmarks", new Dictionary<string, string>(), [], Seed: 1),
            (folder, token) =>
            {
                using Transformer gpt = new(Config, TransformerWeights.Initialize(Config, seed: 1));
                TransformerCheckpoint.Save(gpt, folder);
                BpeTrainer.Train([], Config.DVocab, token).Save(folder);
                return Task.CompletedTask;
            },
            ct);
        await store.SetNameAsync(Name, model.Digest, ct);
    }
}
