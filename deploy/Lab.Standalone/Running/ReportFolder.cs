using Grpc.Core;
using Lab.Protos.Artifact.V1;

namespace Lab.Standalone.Running;

/// <summary>Brings a run's report from the gateway's store into a folder.</summary>
internal sealed class ReportFolder(ArtifactService.ArtifactServiceClient client, string dataFolder)
{
    private const string Main = "report.json";

    /// <returns>The absolute path of report.json, in {data}/reports/{run-id}/.</returns>
    public async Task<string> DownloadAsync(string runName, string digest, CancellationToken cancellationToken)
    {
        string folder = Path.Combine(dataFolder, "reports", runName[(runName.LastIndexOf('/') + 1)..]);
        Directory.CreateDirectory(folder);
        Artifact report = await client.GetArtifactAsync(new GetArtifactRequest { Artifact = digest }, cancellationToken: cancellationToken);
        foreach (ArtifactFile file in report.Files) await DownloadAsync(digest, file.Path, PathIn(folder, file.Path), cancellationToken);
        string main = Path.Combine(folder, Main);
        return File.Exists(main) ? main : throw CommandException.Failed($"The report {digest} has no {Main}.");
    }

    private static string PathIn(string folder, string file)
    {
        string path = Path.GetFullPath(Path.Combine(folder, file));
        return path.StartsWith(folder + Path.DirectorySeparatorChar, StringComparison.Ordinal)
            ? path
            : throw CommandException.Failed($"The report has a file '{file}', which would lie outside its folder.");
    }

    private async Task DownloadAsync(string digest, string file, string path, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        string partial = path + ".partial";
        await using (FileStream stream = File.Create(partial))
        {
            using AsyncServerStreamingCall<ReadArtifactFileResponse> call =
                client.ReadArtifactFile(new ReadArtifactFileRequest { Artifact = digest, Path = file }, cancellationToken: cancellationToken);
            await foreach (ReadArtifactFileResponse chunk in call.ResponseStream.ReadAllAsync(cancellationToken))
                await stream.WriteAsync(chunk.Data.Memory, cancellationToken);
        }

        File.Move(partial, path, overwrite: true);
    }
}
