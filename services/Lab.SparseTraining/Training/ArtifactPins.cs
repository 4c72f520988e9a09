using Google.Protobuf;
using Google.Protobuf.Reflection;
using Lab.Artifacts;
using Lab.ServiceDefaults.Errors;
using Proto = Lab.Protos.SparseTraining.V1;

namespace Lab.SparseTraining.Training;

/// <summary>
/// Puts digests in the place of artifacts' names, so that a run that goes on after a restart has the data that it began with, whatever
/// the names point at by then.
/// </summary>
internal static class ArtifactPins
{
    /// <summary>What a field is called that names an artifact, in every message.</summary>
    private const string Reference = "artifact";

    /// <summary>Pins all that a config names. A name that means nothing stays, for those to find who read it.</summary>
    /// <param name="store">Knows the names.</param>
    /// <param name="config">Changed. Its corpus is not empty.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <returns>The corpus.</returns>
    /// <exception cref="InvalidRequestException">The corpus is none: field "config.corpus".</exception>
    public static async Task<StoredArtifact> PinAsync(ArtifactStore store, Proto.TrainingConfig config, CancellationToken ct)
    {
        if (await FindAsync(store, config.Corpus, ct) is not { Kind: "corpus" } corpus)
            throw new InvalidRequestException("config.corpus", $"no corpus '{config.Corpus}' is stored");
        config.Corpus = corpus.Digest;
        await PinAllAsync(store, config, ct);
        return corpus;
    }

    private static async Task PinAllAsync(ArtifactStore store, IMessage message, CancellationToken ct)
    {
        foreach (FieldDescriptor field in message.Descriptor.Fields.InDeclarationOrder())
        {
            object? value = field.IsMap ? null : field.Accessor.GetValue(message);
            if (value is IMessage inner)
                await PinAllAsync(store, inner, ct);
            else if (value is IEnumerable<IMessage> items)
                foreach (IMessage item in items) await PinAllAsync(store, item, ct);
            else if (field.Name == Reference && value is string { Length: > 0 } name && await FindAsync(store, name, ct) is { } artifact)
                field.Accessor.SetValue(message, artifact.Digest);
        }
    }

    private static async Task<StoredArtifact?> FindAsync(ArtifactStore store, string nameOrDigest, CancellationToken ct)
    {
        try
        {
            return await store.FindAsync(nameOrDigest, ct);
        }
        catch (ArgumentException)
        {
            return null;
        }
    }
}
