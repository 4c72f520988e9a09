using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Lab.Artifacts;
using Lab.Protos.Artifact.V1;

namespace Lab.Gateway.Artifacts;

/// <summary>From the store's records to messages.</summary>
internal static class ArtifactMapping
{
    public static Artifact ToMessage(this StoredArtifact artifact) => new()
    {
        Digest = artifact.Digest,
        Kind = artifact.Kind,
        Names = { artifact.Names },
        Files = { artifact.Files.Select(file => new ArtifactFile { Path = file.Path, Digest = file.Digest, SizeBytes = file.SizeBytes }) },
        CreateTime = artifact.CreateTime.ToTimestamp(),
        Provenance = ToStruct(artifact.Provenance),
    };

    // The chunk is not reused before the write of its message completes, so it need not be copied.
    public static ReadArtifactFileResponse ToChunk(ReadOnlyMemory<byte> bytes) => new() { Data = UnsafeByteOperations.UnsafeWrap(bytes) };

    private static Struct ToStruct(ArtifactProvenance provenance) => JsonParser.Default.Parse<Struct>(new JsonObject
    {
        ["maker"] = provenance.Maker,
        ["inputs"] = new JsonObject(provenance.Inputs.Select(input => KeyValuePair.Create(input.Key, (JsonNode?)input.Value))),
        ["config"] = provenance.Config.DeepClone(),
        ["seed"] = provenance.Seed,
        ["code_version"] = provenance.CodeVersion,
        ["machine"] = provenance.Machine,
    }.ToJsonString());
}
