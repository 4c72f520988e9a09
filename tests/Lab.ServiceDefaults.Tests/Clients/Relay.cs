using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Lab.ServiceDefaults.Tests.Clients;

/// <summary>The address of a service that comes and goes: passes connections on to it, turns them away, or cuts them as a kill does.</summary>
internal sealed class Relay : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly ConcurrentBag<Socket> _sockets = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _turnedAway = new(0);
    private Task _accepting = Task.CompletedTask;

    public Relay() => _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));

    public string Url => $"http://{_listener.LocalEndPoint}";

    /// <summary>Where the service is; null while it is away.</summary>
    public Uri? Target { get; set; }

    /// <summary>Until then connections are refused.</summary>
    public void Listen()
    {
        _listener.Listen();
        _accepting = AcceptAsync();
    }

    /// <summary>Waits until a connection was turned away.</summary>
    public Task TurnedAwayAsync() => _turnedAway.WaitAsync(TestContext.Current.CancellationToken);

    /// <summary>Breaks all connections.</summary>
    /// <param name="reset">Whether with a reset instead of an orderly end.</param>
    public void Cut(bool reset)
    {
        while (_sockets.TryTake(out Socket? socket))
        {
            if (reset) socket.LingerState = new LingerOption(true, 0);
            socket.Close();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        Cut(reset: false);
        await _accepting;
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket client = await _listener.AcceptAsync(_stop.Token);
                if (Target is { } target)
                {
                    await ConnectAsync(client, target);
                    continue;
                }

                client.Close();
                _turnedAway.Release();
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The end of the test.
        }
    }

    private async Task ConnectAsync(Socket client, Uri target)
    {
        var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await server.ConnectAsync(target.Host, target.Port, _stop.Token);
        _sockets.Add(client);
        _sockets.Add(server);
        _ = PassAsync(client, server);
        _ = PassAsync(server, client);
    }

    private async Task PassAsync(Socket from, Socket to)
    {
        byte[] buffer = new byte[16384];
        try
        {
            int count;
            while ((count = await from.ReceiveAsync(buffer, _stop.Token)) > 0) await to.SendAsync(buffer.AsMemory(0, count), _stop.Token);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // Cut.
        }
    }
}
