using System.CommandLine;
using Lab.Standalone.Hosting;
using Spectre.Console;

namespace Lab.Standalone.Commands;

/// <summary>What the commands that only look have in common.</summary>
internal static class Listing
{
    // The most that any list of the lab gives at once.
    public const int PageSize = 1000;

    /// <summary>A command that opens the lab to read.</summary>
    /// <param name="command">The command, with its own arguments.</param>
    /// <param name="console">Where it writes.</param>
    /// <param name="action">What it does; it gets the data folder too.</param>
    public static Command Reads(this Command command, LabConsole console, Func<ParseResult, LabConnection, string, CancellationToken, Task<int>> action)
    {
        (CommonOptions options, _) = CommonOptions.AddTo(command);
        command.SetLabAction(console, async (parsed, cancellationToken) =>
        {
            string dataFolder = options.DataFolder(parsed);
            await using LabConnection lab = await LabConnection.OpenToReadAsync(parsed.GetValue(options.Gateway), dataFolder, cancellationToken);
            return await action(parsed, lab, dataFolder, cancellationToken);
        });
        return command;
    }

    /// <summary>Everything of a list that comes in pages.</summary>
    public static async Task<List<T>> AllAsync<T>(Func<string, Task<(IEnumerable<T> Items, string NextPageToken)>> next)
    {
        List<T> all = [];
        string token = "";
        do
        {
            (IEnumerable<T> items, token) = await next(token);
            all.AddRange(items);
        }
        while (token.Length > 0);
        return all;
    }

    public static Table Table(params string[] columns)
    {
        Table table = new Table().Border(TableBorder.Simple);
        foreach (string column in columns) table.AddColumn(new TableColumn(new Text(column)));
        return table;
    }

    /// <summary>Adds a row of plain texts.</summary>
    public static void Add(this Table table, params string[] texts) => table.AddRow(texts.Select(text => new Text(text)));

    public static string ShortDigest(string digest) => digest.StartsWith("sha256:", StringComparison.Ordinal) ? digest[7..Math.Min(digest.Length, 19)] : digest;

    public static string Time(Google.Protobuf.WellKnownTypes.Timestamp? time) => time is null ? "" : $"{time.ToDateTimeOffset():yyyy-MM-dd HH:mm:ss} UTC";

    public static string Size(long bytes) => bytes switch
    {
        >= 1 << 30 => $"{bytes / (double)(1 << 30):0.0} GiB",
        >= 1 << 20 => $"{bytes / (double)(1 << 20):0.0} MiB",
        >= 1 << 10 => $"{bytes / (double)(1 << 10):0.0} KiB",
        _ => $"{bytes} B",
    };
}
