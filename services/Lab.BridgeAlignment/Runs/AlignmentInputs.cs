using Lab.Artifacts;
using Lab.BridgeAlignment.Bridges;
using Lab.Models;
using Lab.Models.Corpora;
using Lab.Protos.BridgeAlignment.V1;
using Lab.ServiceDefaults.Errors;
using Lab.Tensors;

namespace Lab.BridgeAlignment.Runs;

/// <summary>The stored things that a run works on.</summary>
/// <param name="Dense">The dense model.</param>
/// <param name="Sparse">The sparse model.</param>
/// <param name="Corpus">The corpus.</param>
/// <param name="DenseConfig">The dense model's architecture.</param>
/// <param name="SparseConfig">The sparse model's architecture.</param>
/// <param name="SequenceLength">Tokens of a sequence.</param>
internal sealed record AlignmentInputs(
    StoredArtifact Dense, StoredArtifact Sparse, StoredArtifact Corpus, TransformerConfig DenseConfig, TransformerConfig SparseConfig, int SequenceLength)
{
    private const int DefaultSequenceLength = 128;

    /// <summary>The digests by role, for the provenance.</summary>
    public Dictionary<string, string> Digests => new() { ["dense_model"] = Dense.Digest, ["sparse_model"] = Sparse.Digest, ["corpus"] = Corpus.Digest };

    /// <summary>Finds the artifacts of a config, and checks that they fit together.</summary>
    /// <exception cref="InvalidRequestException">An artifact is unknown or of the wrong kind, or they do not fit; names the fields.</exception>
    /// <exception cref="InvalidDataException">A model's config is damaged.</exception>
    public static async Task<AlignmentInputs> FindAsync(ArtifactStore store, AlignmentConfig config, CancellationToken ct)
    {
        StoredArtifact dense = await FindAsync(store, config.DenseModel, "model", "config.dense_model", ct);
        StoredArtifact sparse = await FindAsync(store, config.SparseModel, "model", "config.sparse_model", ct);
        StoredArtifact corpus = await FindAsync(store, config.Corpus, TokenCorpus.Kind, "config.corpus", ct);
        TransformerConfig denseConfig = ReadConfig(dense), sparseConfig = ReadConfig(sparse);
        TransformerConfig ReadConfig(StoredArtifact model) => TransformerCheckpoint.ReadConfig(store.GetPath(model, TransformerCheckpoint.ConfigFile));

        int context = Math.Min(denseConfig.NCtx, sparseConfig.NCtx);
        int length = config.SequenceLength > 0 ? config.SequenceLength : Math.Min(context, DefaultSequenceLength);

        List<FieldViolation> violations = [];
        if (sparseConfig.NLayers != denseConfig.NLayers)
            violations.Add(new FieldViolation("config.sparse_model", $"has {sparseConfig.NLayers} layers where the dense model has {denseConfig.NLayers}."));
        if (sparseConfig.DVocab != denseConfig.DVocab)
            violations.Add(new FieldViolation("config.sparse_model", $"has a vocabulary of {sparseConfig.DVocab} where the dense model has one of {denseConfig.DVocab}."));
        if (length > context)
            violations.Add(new FieldViolation("config.sequence_length", $"must be at most {context}, the smaller of both models' contexts; it is {length}."));
        int rowBytes = sizeof(float) * Math.Max(denseConfig.DModel, sparseConfig.DModel);
        if (length > TensorMessages.MaxDataBytes / rowBytes)
            violations.Add(new FieldViolation("config.sequence_length", $"must be at most {TensorMessages.MaxDataBytes / rowBytes} for models of this width; it is {length}."));
        if (violations.Count == 0) violations.AddRange(CheckCorpus(store, corpus, denseConfig.DVocab, length));
        if (violations.Count > 0) throw new InvalidRequestException([.. violations]);
        return new AlignmentInputs(dense, sparse, corpus, denseConfig, sparseConfig, length);
    }

    /// <summary>The bridge that these models need.</summary>
    public BridgeShape ToShape(double activationFraction) =>
        new(BridgeSites.Of(DenseConfig.NLayers), DenseConfig.DModel, SparseConfig.DModel, activationFraction);

    private static IEnumerable<FieldViolation> CheckCorpus(ArtifactStore store, StoredArtifact corpus, int vocabulary, int length)
    {
        using TokenCorpus tokens = TokenCorpus.Open(store, corpus);
        if (tokens.Tokenizer.VocabSize > vocabulary)
            yield return new FieldViolation("config.corpus", $"has a vocabulary of {tokens.Tokenizer.VocabSize} where the models have one of {vocabulary}.");
        if (Math.Min(tokens.Train.Length, tokens.HeldOut.Length) < length)
            yield return new FieldViolation("config.corpus", $"has {tokens.Train.Length} training and {tokens.HeldOut.Length} held-out tokens, fewer than one sequence of {length}.");
    }

    private static async Task<StoredArtifact> FindAsync(ArtifactStore store, string name, string kind, string field, CancellationToken ct)
    {
        StoredArtifact? artifact;
        try
        {
            artifact = await store.FindAsync(name, ct);
        }
        catch (ArgumentException e)
        {
            throw new InvalidRequestException(field, e.Message);
        }

        if (artifact is null) throw new InvalidRequestException(field, $"There is no artifact '{name}'.");
        return artifact.Kind == kind ? artifact : throw new InvalidRequestException(field, $"'{name}' is a {artifact.Kind}, not a {kind}.");
    }
}
