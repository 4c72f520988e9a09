using Grpc.Net.Client;
using Lab.EndToEnd.Tests.Architecture;
using Lab.EndToEnd.Tests.Support;
using Lab.Testing;

[assembly: AssemblyFixture(typeof(ServedLab))]

namespace Lab.EndToEnd.Tests.Support;

/// <summary>`lab serve`, which may load models from the golden folders, for clients in other languages.</summary>
public sealed class ServedLab : IAsyncDisposable
{
    private readonly TemporaryFolder _data = new();
    private readonly Lazy<Task<(LabProcess Process, GrpcChannel Channel)>> _lab;

    public ServedLab() => _lab = new(StartAsync);

    /// <summary>A folder with a checkpoint and what a reference implementation computed with it.</summary>
    public static string Golden(string name) => Path.Combine(GoldenFolder, name);

    public async ValueTask DisposeAsync()
    {
        if (_lab.IsValueCreated && _lab.Value.IsCompletedSuccessfully)
        {
            (LabProcess process, GrpcChannel channel) = await _lab.Value;
            channel.Dispose();
            await process.DisposeAsync();
        }

        _data.Dispose();
    }

    /// <summary>A channel to the gateway.</summary>
    internal async Task<GrpcChannel> ChannelAsync() => (await _lab.Value).Channel;

    /// <summary>The gateway's host and port.</summary>
    internal async Task<string> AddressAsync() => (await ChannelAsync()).Target;

    /// <summary>What the lab has logged.</summary>
    internal async Task<string> TranscriptAsync() => (await _lab.Value).Process.Transcript;

    private static string GoldenFolder => Path.Combine(Repository.Root, "tests", "Lab.Models.Tests", "Golden");

    private async Task<(LabProcess Process, GrpcChannel Channel)> StartAsync()
    {
        LabProcess process = LabProcess.Start("lab", ["serve", "--data", _data.Path], ("ModelHost__ModelFolders__0", GoldenFolder));
        string url = await process.WaitForLineAsync(line => line.StartsWith("http://", StringComparison.Ordinal), "address", CancellationToken.None);
        return (process, GrpcChannel.ForAddress(url));
    }
}
