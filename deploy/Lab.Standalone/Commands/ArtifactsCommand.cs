using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Lab.Protos.Artifact.V1;
using Spectre.Console;

namespace Lab.Standalone.Commands;

/// <summary>`lab artifacts`: what is stored.</summary>
internal static class ArtifactsCommand
{
    private static readonly JsonSerializerOptions _readable = new() { WriteIndented = true };

    public static Command Create(LabConsole console)
    {
        var artifact = new Argument<string?>("artifact") { Description = "A name or digest, to show with its files and what made it.", Arity = ArgumentArity.ZeroOrOne };
        var kind = new Option<string?>("--kind") { HelpName = "kind", Description = "Only artifacts of this kind: corpus, model, bridge, circuit or report." };
        return new Command("artifacts", "Lists what is stored, newest first, or shows one artifact.") { artifact, kind }.Reads(console, async (parsed, lab, _, cancellationToken) =>
        {
            if (parsed.GetValue(artifact) is string wanted)
                Show(console, await lab.Artifacts.GetArtifactAsync(new GetArtifactRequest { Artifact = wanted }, cancellationToken: cancellationToken));
            else
                List(console, await ListAsync(lab.Artifacts, parsed.GetValue(kind) ?? "", cancellationToken));
            return ExitCode.Ok;
        });
    }

    /// <summary>All artifacts of a kind, newest first.</summary>
    public static Task<List<Artifact>> ListAsync(ArtifactService.ArtifactServiceClient client, string kind, CancellationToken cancellationToken) => Listing.AllAsync(async token =>
    {
        ListArtifactsResponse page = await client.ListArtifactsAsync(
            new ListArtifactsRequest { PageSize = Listing.PageSize, PageToken = token, Kind = kind }, cancellationToken: cancellationToken);
        return (page.Artifacts.AsEnumerable(), page.NextPageToken);
    });

    private static void List(LabConsole console, List<Artifact> artifacts)
    {
        Table table = Listing.Table("digest", "kind", "names", "size", "created");
        foreach (Artifact artifact in artifacts)
            table.Add(Listing.ShortDigest(artifact.Digest), artifact.Kind, string.Join(", ", artifact.Names), Size(artifact), Listing.Time(artifact.CreateTime));
        console.Screen.Write(table);
    }

    private static void Show(LabConsole console, Artifact artifact)
    {
        console.Output.WriteLine($"{artifact.Digest}  {artifact.Kind}  {string.Join(", ", artifact.Names)}");
        console.Output.WriteLine($"stored {Listing.Time(artifact.CreateTime)}");
        Table table = Listing.Table("file", "size", "digest");
        foreach (ArtifactFile file in artifact.Files) table.Add(file.Path, Listing.Size(file.SizeBytes), Listing.ShortDigest(file.Digest));
        console.Screen.Write(table);
        console.Output.WriteLine(JsonNode.Parse(JsonFormatter.Default.Format(artifact.Provenance))!.ToJsonString(_readable));
    }

    private static string Size(Artifact artifact) => Listing.Size(artifact.Files.Sum(file => file.SizeBytes));
}
