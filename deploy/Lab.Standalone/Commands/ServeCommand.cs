using System.CommandLine;
using Lab.ServiceDefaults;
using Lab.Standalone.Hosting;

namespace Lab.Standalone.Commands;

/// <summary>`lab serve`: all parts in one process until Ctrl-C.</summary>
internal static class ServeCommand
{
    public static Command Create(LabConsole console)
    {
        var url = new Option<string>("--url")
        {
            HelpName = "url",
            Description = "Where the gateway listens; port 0 takes a free one.",
            DefaultValueFactory = _ => new LabOptions().Url,
        };
        var command = new Command("serve", "Runs the lab until Ctrl-C and prints its gateway's address.") { url };
        var options = new CommonOptions();
        command.Options.Add(options.Data);
        command.SetLabAction(console, (parsed, cancellationToken) => ExecuteAsync(
            new EmbeddedLabOptions(options.DataFolder(parsed)) { GatewayUrl = parsed.GetValue(url)! }, console, cancellationToken));
        return command;
    }

    private static async Task<int> ExecuteAsync(EmbeddedLabOptions options, LabConsole console, CancellationToken cancellationToken)
    {
        await using EmbeddedLab lab = await EmbeddedLab.StartAsync(options, cancellationToken);
        await console.Output.WriteLineAsync(lab.Gateway.GetLeftPart(UriPartial.Authority));
        await console.Output.FlushAsync(cancellationToken);
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using CancellationTokenRegistration registration = cancellationToken.Register(stopped.SetResult);
        await stopped.Task;
        return ExitCode.Ok;
    }
}
