using System.CommandLine;
using Lab.Protos.Artifact.V1;
using Lab.Protos.ModelHost.V1;
using Lab.Standalone.Hosting;
using Spectre.Console;

namespace Lab.Standalone.Commands;

/// <summary>`lab models`: the models that are stored, and which of them are resident.</summary>
internal static class ModelsCommand
{
    public static Command Create(LabConsole console) =>
        new Command("models", "Lists the stored models, newest first, and which of them are loaded.").Reads(console, async (_, lab, _, cancellationToken) =>
        {
            List<Artifact> stored = await ArtifactsCommand.ListAsync(lab.Artifacts, "model", cancellationToken);
            ILookup<string, Model> resident = (await ListResidentAsync(lab, cancellationToken)).ToLookup(model => model.Digest);
            Table table = Listing.Table("digest", "names", "size", "created", "loaded as");
            foreach (Artifact model in stored)
            {
                table.Add(
                    Listing.ShortDigest(model.Digest), string.Join(", ", model.Names), Listing.Size(model.Files.Sum(file => file.SizeBytes)),
                    Listing.Time(model.CreateTime), string.Join(", ", resident[model.Digest].Select(loaded => $"{Listing.ShortDigest(loaded.Name)} ({loaded.Device})")));
            }

            console.Screen.Write(table);
            return ExitCode.Ok;
        });

    private static Task<List<Model>> ListResidentAsync(LabConnection lab, CancellationToken cancellationToken) => Listing.AllAsync(async token =>
    {
        ListModelsResponse page = await lab.Models.ListModelsAsync(
            new ListModelsRequest { PageSize = Listing.PageSize, PageToken = token }, cancellationToken: cancellationToken);
        return (page.Models.AsEnumerable(), page.NextPageToken);
    });
}
