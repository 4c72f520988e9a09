using System.CommandLine;
using Lab.ServiceDefaults;

namespace Lab.Standalone.Commands;

/// <summary>The options that say where the lab is.</summary>
internal sealed class CommonOptions
{
    public Option<Uri?> Gateway { get; } = new("--gateway")
    {
        HelpName = "url",
        Description = "The gateway of a running lab, such as http://127.0.0.1:5100. Without it the lab runs inside this process.",
        CustomParser = result =>
        {
            string text = result.Tokens[0].Value;
            if (Uri.TryCreate(text, UriKind.Absolute, out Uri? url) && url.Scheme is "http" or "https") return url;
            result.AddError($"--gateway: '{text}' is not a URL such as http://127.0.0.1:5100.");
            return null;
        },
    };

    public Option<string> Data { get; } = new("--data")
    {
        HelpName = "folder",
        Description = "The folder of runs and artifacts. One lab at a time works in a folder.",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable("Lab__Data") is { Length: > 0 } folder ? folder : new LabOptions().Data,
    };

    public static (CommonOptions Options, Command Command) AddTo(Command command)
    {
        var options = new CommonOptions();
        command.Options.Add(options.Gateway);
        command.Options.Add(options.Data);
        return (options, command);
    }

    /// <summary>The data folder, absolute.</summary>
    public string DataFolder(ParseResult parsed) => Path.GetFullPath(parsed.GetValue(Data)!);
}
