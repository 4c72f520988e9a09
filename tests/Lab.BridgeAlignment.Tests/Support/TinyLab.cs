using System.Text.Json;
using Lab.Artifacts;
using Lab.Models;
using Lab.Models.Corpora;
using Lab.Models.Tokenizers;
using Lab.Protos.BridgeAlignment.V1;

namespace Lab.BridgeAlignment.Tests.Support;

/// <summary>A data folder with a corpus and two models, and what runs them.</summary>
internal sealed class TinyLab : IDisposable
{
    private static readonly GptConfig SparseArchitecture = TinyModels.Config(width: 24) with { ActivationFraction = 0.5 };

    private TinyLab(string folder)
    {
        Data = folder;
        Store = new ArtifactStore(Path.Combine(folder, "artifacts"));
    }

    public string Data { get; }

    public ArtifactStore Store { get; }

    /// <summary>Runs the two models, by digest. Each call makes new ones.</summary>
    public ModelSource Source => new(new Dictionary<string, Gpt>
    {
        [DenseDigest] = TinyModels.Create(TinyModels.Config(), seed: 1),
        [SparseDigest] = TinyModels.Create(SparseArchitecture, seed: 2),
    });

    public string DenseDigest { get; private set; } = "";

    public string SparseDigest { get; private set; } = "";

    /// <summary>A short run over everything in here.</summary>
    public static AlignmentConfig Config => new()
    {
        DenseModel = "models/dense",
        SparseModel = "models/sparse",
        Corpus = "corpora/tiny",
        Steps = 120,
        BatchSize = 2,
        EvaluationSequences = 3,
        Seed = 11,
        OutputName = "bridges/tiny",
    };

    public static async Task<TinyLab> CreateAsync()
    {
        TinyLab lab = new(Directory.CreateTempSubdirectory("lab-bridge-").FullName);
        lab.DenseDigest = await lab.AddModelAsync("models/dense", TinyModels.Config());
        lab.SparseDigest = await lab.AddModelAsync("models/sparse", SparseArchitecture);
        await lab.AddCorpusAsync("corpora/tiny", string.Concat(Enumerable.Range(0, 200).Select(i => $"x{i} = {i * i}\n")));
        return lab;
    }

    /// <summary>Stores a model's config: all that the part itself reads of a model.</summary>
    public Task<string> AddModelAsync(string name, GptConfig config) =>
        AddAsync("model", name, folder => File.WriteAllText(Path.Combine(folder, "config.json"), JsonSerializer.Serialize(config)));

    public Task<string> AddCorpusAsync(string name, string text) => AddAsync("corpus", name, folder =>
    {
        using TokenCorpusWriter writer = new(folder, BpeTrainer.Train([], BpeTrainer.MinVocabSize, CancellationToken.None));
        writer.Append(text, isHeldOut: false);
        writer.Append(text, isHeldOut: true);
        _ = writer.Complete(info => info);
    });

    public void Dispose() => Directory.Delete(Data, recursive: true);

    private async Task<string> AddAsync(string kind, string name, Action<string> write)
    {
        StoredArtifact artifact = await Store.PutAsync(
            kind,
            new ArtifactProvenance("test", new Dictionary<string, string>(), [], null),
            (folder, _) =>
            {
                write(folder);
                return Task.CompletedTask;
            },
            CancellationToken.None);
        await Store.SetNameAsync(name, artifact.Digest, CancellationToken.None);
        return artifact.Digest;
    }
}
