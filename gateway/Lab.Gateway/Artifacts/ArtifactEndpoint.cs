using Grpc.Core;
using Lab.Artifacts;
using Lab.Protos.Artifact.V1;
using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Errors;

namespace Lab.Gateway.Artifacts;

/// <summary>lab.artifact.v1.ArtifactService over the store.</summary>
internal sealed class ArtifactEndpoint(ArtifactStore store) : ArtifactService.ArtifactServiceBase
{
    public override async Task<Artifact> GetArtifact(GetArtifactRequest request, ServerCallContext context) =>
        (await FindAsync(request.Artifact, context.CancellationToken)).ToMessage();

    public override async Task<ListArtifactsResponse> ListArtifacts(ListArtifactsRequest request, ServerCallContext context)
    {
        (IReadOnlyList<StoredArtifact> artifacts, string nextPageToken) = Pages.Take(
            $"artifacts {request.Kind}", await store.ListAsync(request.Kind, context.CancellationToken),
            artifact => Pages.NewestFirst(artifact.CreateTime, artifact.Digest), request.PageSize, request.PageToken);
        return new ListArtifactsResponse { Artifacts = { artifacts.Select(ArtifactMapping.ToMessage) }, NextPageToken = nextPageToken };
    }

    public override async Task ReadArtifactFile(
        ReadArtifactFileRequest request, IServerStreamWriter<ReadArtifactFileResponse> responseStream, ServerCallContext context)
    {
        StoredArtifact artifact = await FindAsync(request.Artifact, context.CancellationToken);
        StoredFile file = artifact.Files.FirstOrDefault(file => file.Path == request.Path)
            ?? throw new NotFoundException("ArtifactFile", $"{request.Artifact}/{request.Path}");
        await foreach (ReadOnlyMemory<byte> chunk in VerifiedFile.ReadAsync(store.GetPath(artifact, file.Path), file, context.CancellationToken))
            await responseStream.WriteAsync(ArtifactMapping.ToChunk(chunk), context.CancellationToken);
    }

    private async Task<StoredArtifact> FindAsync(string nameOrDigest, CancellationToken cancellationToken)
    {
        if (nameOrDigest.Length == 0) throw new InvalidRequestException("artifact", "must be a name or a digest.");
        return await store.FindAsync(nameOrDigest, cancellationToken) ?? throw new NotFoundException("Artifact", nameOrDigest);
    }
}
