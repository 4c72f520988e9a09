using Lab.Artifacts;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Sources;

/// <summary>Artifacts that requests name.</summary>
internal static class ArtifactLookup
{
    /// <summary>Gets an artifact of a kind.</summary>
    /// <param name="store">The store.</param>
    /// <param name="nameOrDigest">What the request has.</param>
    /// <param name="kind">The kind that it must be of; null for any.</param>
    /// <param name="field">The field that names it, for errors.</param>
    /// <param name="ct">Cancels the call.</param>
    /// <exception cref="NotFoundException">There is none; its metadata names the field.</exception>
    /// <exception cref="InvalidRequestException">It is neither a name nor a digest, or it is an artifact of another kind.</exception>
    public static async Task<StoredArtifact> RequireAsync(this ArtifactStore store, string nameOrDigest, string? kind, string field, CancellationToken ct)
    {
        StoredArtifact artifact = await store.FindAsync(nameOrDigest, field, ct) ?? throw Missing("Artifact", nameOrDigest, field);
        return kind is null || artifact.Kind == kind ? artifact : throw new InvalidRequestException(field, $"'{nameOrDigest}' is a {artifact.Kind}, not a {kind}.");
    }

    /// <summary>Requires that something can be stored under a name.</summary>
    /// <exception cref="InvalidRequestException">It is no name.</exception>
    public static async Task RequireNameAsync(this ArtifactStore store, string name, string field, CancellationToken ct)
    {
        if (name.StartsWith("sha256:", StringComparison.Ordinal)) throw new InvalidRequestException(field, $"'{name}' is a digest, not a name.");
        await store.FindAsync(name, field, ct);
    }

    /// <summary>What a request names is not there.</summary>
    public static NotFoundException Missing(string what, string name, string field) => new(what, name)
    {
        Metadata = new Dictionary<string, string> { ["resource_type"] = what, ["resource_name"] = name, ["field"] = field },
    };

    /// <summary>Whether it has the form of a digest.</summary>
    public static bool IsDigest(string text) => text.Length == 71 && text.StartsWith("sha256:", StringComparison.Ordinal) && text[7..].All(char.IsAsciiHexDigitLower);

    private static async Task<StoredArtifact?> FindAsync(this ArtifactStore store, string nameOrDigest, string field, CancellationToken ct)
    {
        try
        {
            return await store.FindAsync(nameOrDigest, ct);
        }
        catch (ArgumentException e)
        {
            throw new InvalidRequestException(field, e.Message);
        }
    }
}
