using Grpc.Net.Client;
using Lab.EndToEnd.Tests.Architecture;
using Lab.ServiceDefaults.Clients;
using Lab.Testing;

namespace Lab.EndToEnd.Tests.Support;

/// <summary>The five parts as processes that deploy/native/start.sh has started, until stop.sh.</summary>
internal sealed class NativeLab : IAsyncDisposable
{
    private readonly TemporaryFolder _data = new();
    private GrpcChannel? _channel;

    private NativeLab()
    {
    }

    public string DataFolder => _data.Path;

    /// <summary>The gateway's address.</summary>
    public Uri Gateway { get; private set; } = null!;

    /// <summary>A channel to the gateway.</summary>
    public GrpcChannel Channel => _channel ??= GrpcChannel.ForAddress(
        Gateway, new GrpcChannelOptions { HttpHandler = LabClients.CreateHandler(), DisposeHttpClient = true, MaxReceiveMessageSize = 16 << 20 });

    /// <summary>What the parts have logged.</summary>
    public string Transcript => string.Concat(Directory.EnumerateFiles(_data["logs"]).Select(log => $"--- {log}\n{ReadShared(log)}\n"));

    public static async Task<NativeLab> StartAsync(CancellationToken cancellationToken)
    {
        NativeLab lab = new();
        try
        {
            await using LabProcess start = Script("start.sh", "--data", lab.DataFolder, "--configuration", Configuration, "--no-build");
            (await start.WaitForExitAsync(cancellationToken)).ShouldBe(0, start.Transcript);
            lab.Gateway = new Uri(start.Output[^1]);
            return lab;
        }
        catch
        {
            await lab.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _channel?.Dispose();
        await using (LabProcess stop = Script("stop.sh", "--data", DataFolder))
            (await stop.WaitForExitAsync(CancellationToken.None)).ShouldBe(0, stop.Transcript);
        _data.Dispose();
    }

    // The tests run the parts of their own build: artifacts/bin/Lab.EndToEnd.Tests/{configuration}.
    private static string Configuration => Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));

    private static LabProcess Script(string name, params IEnumerable<string> arguments) =>
        LabProcess.Start("/bin/bash", [Path.Combine(Repository.Root, "deploy", "native", name), .. arguments]);

    private static string ReadShared(string path)
    {
        using StreamReader reader = new(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return reader.ReadToEnd();
    }
}
