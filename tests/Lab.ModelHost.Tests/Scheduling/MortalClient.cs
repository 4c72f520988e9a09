using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Tests.Scheduling;

/// <summary>A client that can die: its socket is reset, and nothing of HTTP/2 is said.</summary>
internal sealed class MortalClient : IDisposable
{
    private readonly GrpcChannel _channel;
    private Socket? _socket;

    private MortalClient(string url) => _channel = GrpcChannel.ForAddress(url, new GrpcChannelOptions
    {
        HttpHandler = new SocketsHttpHandler
        {
            ConnectCallback = async (context, ct) =>
            {
                _socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { LingerState = new LingerOption(true, 0) };
                await _socket.ConnectAsync(context.DnsEndPoint, ct);
                return new NetworkStream(_socket, ownsSocket: true);
            },
        },
        DisposeHttpClient = true,
    });

    public ModelHostService.ModelHostServiceClient Client => new(_channel);

    public static async Task<MortalClient> ConnectAsync(string url)
    {
        MortalClient client = new(url);
        await client.Client.ListModelsAsync(new ListModelsRequest());
        return client;
    }

    /// <summary>Begins a run and reads until the client is dead.</summary>
    public async Task SendRunAsync(RunRequest request)
    {
        using AsyncServerStreamingCall<RunResponse> call = Client.Run(request);
        while (await call.ResponseStream.MoveNext(CancellationToken.None))
        {
        }
    }

    /// <summary>Resets the connection, as the system does for a process that is killed.</summary>
    public void Kill() => _socket!.Close();

    public void Dispose() => _channel.Dispose();
}
