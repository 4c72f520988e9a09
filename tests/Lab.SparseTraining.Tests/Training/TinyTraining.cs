using Lab.Models;
using Lab.Models.Corpora;
using Lab.Models.Tokenizers;
using Lab.SparseTraining.Training;
using Lab.SparseTraining.Training.Interventions;
using Lab.Tensors;
using Lab.Testing;

namespace Lab.SparseTraining.Tests.Training;

/// <summary>A corpus, an architecture and a recipe that train in milliseconds.</summary>
internal sealed class TinyTraining : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    /// <summary>Writes a checkpoint and waits for the disk.</summary>
    public static void Save(string path, SparseTrainer trainer, TrainingCurve curve)
    {
        using PendingFile file = TrainingCheckpoint.Begin(path, trainer, curve);
        file.Commit();
    }

    public TinyTraining()
    {
        string text = string.Concat(Enumerable.Range(0, 400).Select(i => $"def f{i % 7}(x):\n    return x + {i % 13}\n"));
        LabTokenizer tokenizer = BpeTrainer.Train([text], 280, TestContext.Current.CancellationToken);
        using (TokenCorpusWriter writer = new(_folder.Path, tokenizer))
        {
            writer.Append(text, isHeldOut: false);
            writer.Append(text.AsSpan(0, 1500), isHeldOut: true);
            writer.Complete(info => info with { Source = "test", Files = 2, Bytes = text.Length });
        }

        Corpus = TokenCorpus.Open(_folder.Path);
    }

    public TokenCorpus Corpus { get; }

    public TransformerConfig Config { get; } = new()
    {
        NLayers = 1,
        DModel = 32,
        NHeads = 2,
        DHead = 16,
        DMlp = 64,
        DVocab = 280,
        NCtx = 16,
        ActivationFraction = 0.5,
        BigramTable = true,
    };

    public TrainingRecipe Recipe { get; } = new()
    {
        Steps = 20,
        BatchSize = 4,
        WeightFraction = 0.25,
        EmbeddingFraction = 0.3,
        BiasFraction = 0.5,
        AnnealEndFraction = 0.5,
        EvaluationTokens = 64,
    };

    public SparseTrainer Start(TrainingRecipe? recipe = null, long seed = 1, IReadOnlyList<InterventionRule>? interventions = null, TransformerConfig? config = null) =>
        new(config ?? Config, recipe ?? Recipe, Corpus.Train, Corpus.HeldOut, seed, interventions);

    public void Dispose()
    {
        Corpus.Dispose();
        _folder.Dispose();
    }
}
