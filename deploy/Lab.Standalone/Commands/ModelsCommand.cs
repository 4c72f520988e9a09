using System.CommandLine;
using Lab.Protos.Artifact.V1;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.Standalone.Hosting;
using Spectre.Console;

namespace Lab.Standalone.Commands;

/// <summary>`lab models`: the models that are stored or came from folders, and what has become of them; loads and unloads them.</summary>
internal static class ModelsCommand
{
    private static readonly Dictionary<string, DataType> _types = new()
    {
        ["fp32"] = DataType.Fp32,
        ["bf16"] = DataType.Bf16,
        ["fp64"] = DataType.Fp64,
    };

    public static Command Create(LabConsole console)
    {
        Command command = new Command("models", "Lists the models and what has become of them, those of the store newest first.")
            .Reads(console, (_, lab, _, cancellationToken) => ListAsync(console, lab, cancellationToken));
        command.Subcommands.Add(CreateLoad(console));
        command.Subcommands.Add(CreateUnload(console));
        return command;
    }

    private static Command CreateLoad(LabConsole console)
    {
        var name = new Argument<string>("name") { Description = "A stored model's name or digest; with --folder the name to give it." };
        var folder = new Option<string?>("--folder") { HelpName = "folder", Description = "A folder of Hugging Face or openai/circuit_sparsity, on the machine of the lab." };
        var type = new Option<string?>("--dtype") { HelpName = "type", Description = "The type of the weights in memory: fp32, bf16 or fp64." };
        type.AcceptOnlyFromAmong([.. _types.Keys]);
        var pin = new Option<bool>("--pin") { Description = "The model stays when others need memory." };
        return new Command("load", "Makes a model resident, now and whenever the lab starts.") { name, folder, type, pin }.Reads(console, async (parsed, lab, _, cancellationToken) =>
        {
            LoadModelRequest request = new() { Name = parsed.GetValue(name)! };
            if (parsed.GetValue(folder) is { } path) request.Folder = Path.GetFullPath(path);
            if (parsed.GetValue(type) is { } wanted) request.DataType = _types[wanted];
            if (parsed.GetValue(pin)) request.Pinned = true;
            Model model = await lab.Models.LoadModelAsync(request, cancellationToken: cancellationToken);
            await console.Output.WriteLineAsync($"{model.Name} is {State(model)}: {model.Family}, {model.ParameterCount:N0} parameters, {Listing.Size(model.SizeBytes)}.");
            return ExitCode.Ok;
        });
    }

    private static Command CreateUnload(LabConsole console)
    {
        var name = new Argument<string>("name") { Description = "The name it is resident under." };
        return new Command("unload", "Frees a model.") { name }.Reads(console, async (parsed, lab, _, cancellationToken) =>
        {
            await lab.Models.UnloadModelAsync(new UnloadModelRequest { Name = parsed.GetValue(name)! }, cancellationToken: cancellationToken);
            await console.Output.WriteLineAsync($"{parsed.GetValue(name)} is unloaded.");
            return ExitCode.Ok;
        });
    }

    private static async Task<int> ListAsync(LabConsole console, LabConnection lab, CancellationToken cancellationToken)
    {
        List<Artifact> stored = await ArtifactsCommand.ListAsync(lab.Artifacts, "model", cancellationToken);
        // Of the store's models only the resident ones have a digest; the others are known by their names.
        List<Model> known = await KnownAsync(lab, cancellationToken);
        HashSet<Model> listed = [];
        Table table = Listing.Table("digest", "names", "size", "created", "state");
        foreach (Artifact artifact in stored)
        {
            Model[] own = [.. known.Where(model => model.Folder.Length == 0 && (model.Digest == artifact.Digest || model.Name == artifact.Digest || (model.Digest.Length == 0 && artifact.Names.Contains(model.Name))))];
            listed.UnionWith(own);
            table.Add(
                Listing.ShortDigest(artifact.Digest), string.Join(", ", artifact.Names), Listing.Size(artifact.Files.Sum(file => file.SizeBytes)),
                Listing.Time(artifact.CreateTime), string.Join(", ", own.Select(model => $"{Listing.ShortDigest(model.Name)} {State(model)}")));
        }

        foreach (Model model in known.Where(model => !listed.Contains(model)))
            table.Add(Listing.ShortDigest(model.Digest), model.Name, model.SizeBytes > 0 ? Listing.Size(model.SizeBytes) : "", "", $"{State(model)} {model.Folder}".TrimEnd());
        console.Screen.Write(table);
        return ExitCode.Ok;
    }

    private static string State(Model model) => model.State switch
    {
        ModelState.Resident => $"resident ({model.DataType.ToString().ToLowerInvariant()}, {model.Device}{(model.Pinned ? ", pinned" : "")})",
        ModelState.Loading => $"loading ({(model.SizeBytes > 0 ? 100 * model.LoadedBytes / model.SizeBytes : 0)} %)",
        ModelState.Failed => $"failed ({model.Reason})",
        ModelState.Evicted => $"evicted ({model.Reason})",
        _ => "",
    };

    private static Task<List<Model>> KnownAsync(LabConnection lab, CancellationToken cancellationToken) => Listing.AllAsync(async token =>
    {
        ListModelsResponse page = await lab.Models.ListModelsAsync(
            new ListModelsRequest { PageSize = Listing.PageSize, PageToken = token, ShowAll = true }, cancellationToken: cancellationToken);
        return (page.Models.AsEnumerable(), page.NextPageToken);
    });
}
