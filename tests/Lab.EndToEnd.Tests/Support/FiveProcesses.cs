using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using Lab.ServiceDefaults.Clients;
using Lab.Testing;

namespace Lab.EndToEnd.Tests.Support;

/// <summary>The five parts, each the process of its own program, on ports of their own and one data folder.</summary>
internal sealed class FiveProcesses : IAsyncDisposable
{
    private static readonly string[] _parts = ["ModelHost", "SparseTraining", "BridgeAlignment", "CircuitAnalysis", "Gateway"];

    private readonly TemporaryFolder _data = new();
    private readonly Dictionary<string, string> _urls;
    private readonly Dictionary<string, LabProcess> _running = [];
    private readonly List<LabProcess> _all = [];
    private readonly GrpcChannel _channel;

    private FiveProcesses()
    {
        int[] ports = FreePorts.Take(_parts.Length);
        _urls = _parts.Zip(ports).ToDictionary(pair => pair.First, pair => FreePorts.Url(pair.Second));
        _channel = OpenChannel(Gateway);
    }

    public string DataFolder => _data.Path;

    /// <summary>The gateway's address.</summary>
    public string Gateway => _urls["Gateway"];

    /// <summary>A channel to the gateway.</summary>
    public ChannelBase Channel => _channel;

    /// <summary>What all processes printed, those that were killed included.</summary>
    public string Transcript => string.Concat(_all.Select(process => process.Transcript));

    public static async Task<FiveProcesses> StartAsync(CancellationToken cancellationToken)
    {
        FiveProcesses parts = new();
        try
        {
            foreach (string part in _parts) parts.Start(part);
            foreach (string part in _parts) await parts.WaitUntilReadyAsync(part, cancellationToken);
            return parts;
        }
        catch
        {
            await parts.DisposeAsync();
            throw;
        }
    }

    /// <summary>kill -9 of a part, and its start anew on the same port. Does not wait until it is ready: those who need it do.</summary>
    public async Task KillAndRestartAsync(string part)
    {
        await _running[part].KillAsync();
        Start(part);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (LabProcess process in _all) await process.DisposeAsync();
        _channel.Dispose();
        _data.Dispose();
    }

    private void Start(string part)
    {
        LabProcess process = LabProcess.Start(
            $"Lab.{part}", [],
            [("Lab__Data", DataFolder), ("Lab__Url", _urls[part]), .. _urls.Select(url => ($"Lab__Services__{url.Key}", url.Value))]);
        _running[part] = process;
        _all.Add(process);
    }

    private async Task WaitUntilReadyAsync(string part, CancellationToken cancellationToken)
    {
        using GrpcChannel channel = OpenChannel(_urls[part]);
        CallOptions options = new CallOptions(deadline: DateTime.UtcNow + TestTimes.Patience, cancellationToken: cancellationToken).WithWaitForReady();
        try
        {
            HealthCheckResponse health = await new Health.HealthClient(channel).CheckAsync(new HealthCheckRequest { Service = part }, options);
            health.Status.ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving, Transcript);
        }
        catch (RpcException e)
        {
            throw new InvalidOperationException($"{part} did not start.\n{Transcript}", e);
        }
    }

    private static GrpcChannel OpenChannel(string url) => GrpcChannel.ForAddress(url, new GrpcChannelOptions
    {
        HttpHandler = LabClients.CreateHandler(),
        DisposeHttpClient = true,
        InitialReconnectBackoff = TimeSpan.FromMilliseconds(200),
        MaxReconnectBackoff = TimeSpan.FromSeconds(1),
        MaxReceiveMessageSize = 16 << 20,
    });
}
