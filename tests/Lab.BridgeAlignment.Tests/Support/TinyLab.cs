using Lab.Artifacts;
using Lab.BridgeAlignment.Streams;
using Lab.ModelHost;
using Lab.Models;
using Lab.Models.Corpora;
using Lab.Models.Tokenizers;
using Lab.Protos.BridgeAlignment.V1;
using Lab.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Lab.BridgeAlignment.Tests.Support;

/// <summary>A data folder with a corpus and two models, and what runs them.</summary>
internal sealed class TinyLab : IDisposable
{
    private const long Seed = 1;

    private static readonly TransformerConfig SparseArchitecture = TinyModels.Config(width: 24) with { ActivationFraction = 0.5 };

    private readonly TemporaryFolder _folder = new();

    private TinyLab() => Store = new ArtifactStore(_folder["artifacts"]);

    public string Data => _folder.Path;

    public ArtifactStore Store { get; }

    /// <summary>Runs the two models, by digest. Each call makes new ones.</summary>
    public ModelSource Source => new(new Dictionary<string, Transformer>
    {
        [DenseDigest] = TinyModels.Create(TinyModels.Config(), Seed),
        [SparseDigest] = TinyModels.Create(SparseArchitecture, Seed),
    });

    public string DenseDigest { get; private set; } = "";

    public string SparseDigest { get; private set; } = "";

    private static LabTokenizer Tokenizer { get; } = BpeTrainer.Train([], BpeTrainer.MinVocabSize, CancellationToken.None);

    /// <summary>A short run over everything in here.</summary>
    public static AlignmentConfig Config => new()
    {
        DenseModel = "models/dense",
        SparseModel = "models/sparse",
        Corpus = "corpora/tiny",
        Steps = 60,
        BatchSize = 8,
        EvaluationSequences = 3,
        Seed = 11,
        OutputName = "bridges/tiny",
    };

    public static async Task<TinyLab> CreateAsync()
    {
        TinyLab lab = new();
        lab.DenseDigest = await lab.AddModelAsync("models/dense", TinyModels.Config());
        lab.SparseDigest = await lab.AddModelAsync("models/sparse", SparseArchitecture);
        await lab.AddCorpusAsync("corpora/tiny", string.Concat(Enumerable.Range(0, 200).Select(i => $"x{i} = {i * i}\n")));
        return lab;
    }

    public Task<string> AddModelAsync(string name, TransformerConfig config) => AddAsync("model", name, folder =>
    {
        using Transformer model = TinyModels.Create(config, Seed);
        TransformerCheckpoint.Save(model, folder);
        Tokenizer.Save(folder);
    });

    public Task<string> AddBrokenModelAsync(string name) => AddAsync("model", name, folder => File.WriteAllText(Path.Combine(folder, "config.json"), "{}"));

    public Task<string> AddCorpusAsync(string name, string text) => AddAsync("corpus", name, folder =>
    {
        using TokenCorpusWriter writer = new(folder, Tokenizer);
        writer.Append(text, isHeldOut: false);
        writer.Append(text, isHeldOut: true);
        _ = writer.Complete(info => info);
    });

    /// <summary>Starts the part, with models of its own, or with a ModelHost.</summary>
    public Task<PartHost> StartAsync(IActivationSource source) => StartAsync("http://127.0.0.1:1", services => services.AddSingleton(source));

    /// <inheritdoc cref="StartAsync(IActivationSource)"/>
    public Task<PartHost> StartAsync(string modelHost) => StartAsync(modelHost, _ => { });

    public Task<PartHost> StartModelHostAsync(string url = "http://127.0.0.1:0") => PartHost.StartAsync(
        Data, builder => builder.AddModelHost(), app => app.MapModelHost(), ("Lab:Url", url), ("Lab:Device", "cpu"), ("Lab:Threads", "1"));

    public void Dispose() => _folder.Dispose();

    private Task<PartHost> StartAsync(string modelHost, Action<IServiceCollection> configure) => PartHost.StartAsync(
        Data,
        builder => configure(builder.AddBridgeAlignment().Services),
        app => app.MapBridgeAlignment(),
        ("Lab:Services:ModelHost", modelHost),
        ("Lab:Device", "cpu"),
        ("Lab:Threads", "1"));

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
