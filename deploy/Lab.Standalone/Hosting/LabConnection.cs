using Grpc.Net.Client;
using Lab.Protos.Artifact.V1;
using Lab.Protos.Experiment.V1;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Clients;

namespace Lab.Standalone.Hosting;

/// <summary>A way to a gateway: of a lab that runs elsewhere, or of one that lives in this process as long as the connection does.</summary>
internal sealed class LabConnection : IAsyncDisposable
{
    private const int MessageBytes = 16 << 20;

    private readonly GrpcChannel _channel;
    private readonly EmbeddedLab? _lab;

    private LabConnection(Uri gateway, EmbeddedLab? lab)
    {
        _lab = lab;
        _channel = GrpcChannel.ForAddress(gateway, new GrpcChannelOptions
        {
            HttpHandler = LabClients.CreateHandler(),
            DisposeHttpClient = true,
            MaxReceiveMessageSize = MessageBytes,
        });
        Experiments = new(_channel);
        Artifacts = new(_channel);
        Models = new(_channel);
    }

    public ExperimentService.ExperimentServiceClient Experiments { get; }

    public ArtifactService.ArtifactServiceClient Artifacts { get; }

    public ModelHostService.ModelHostServiceClient Models { get; }

    /// <summary>Opens a connection for work: to the gateway if one is given, otherwise to a lab that starts here.</summary>
    /// <exception cref="CommandException">The data folder is in use.</exception>
    public static async Task<LabConnection> OpenAsync(Uri? gateway, string dataFolder, CancellationToken cancellationToken)
    {
        if (gateway is not null) return new LabConnection(gateway, lab: null);
        EmbeddedLab lab = await EmbeddedLab.StartAsync(new EmbeddedLabOptions(dataFolder) { LogsToFile = true }, cancellationToken);
        return new LabConnection(lab.Gateway, lab);
    }

    /// <summary>Opens a connection for a look: a lab that works in the data folder already is asked instead of starting one.</summary>
    /// <inheritdoc cref="OpenAsync"/>
    public static Task<LabConnection> OpenToReadAsync(Uri? gateway, string dataFolder, CancellationToken cancellationToken) =>
        OpenAsync(gateway ?? DataFolderLock.FindGateway(dataFolder), dataFolder, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        if (_lab is not null) await _lab.DisposeAsync();
    }
}
