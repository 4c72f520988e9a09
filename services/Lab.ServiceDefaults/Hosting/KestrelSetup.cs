using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace Lab.ServiceDefaults.Hosting;

/// <summary>Makes Kestrel listen on <see cref="LabOptions.Url"/>, HTTP/2 without TLS, with limits made for tensors.</summary>
internal sealed class KestrelSetup(IOptions<LabOptions> lab) : IConfigureOptions<KestrelServerOptions>
{
    public void Configure(KestrelServerOptions options)
    {
        options.AddServerHeader = false;
        Http2Limits http2 = options.Limits.Http2;
        http2.InitialConnectionWindowSize = GrpcLimits.WindowBytes;
        http2.InitialStreamWindowSize = GrpcLimits.WindowBytes;
        http2.MaxFrameSize = GrpcLimits.FrameBytes;
        http2.MaxStreamsPerConnection = 1000;
        http2.KeepAlivePingDelay = TimeSpan.FromSeconds(30);
        // A reader that takes its time holds back the producer; it must not be cut off, as Kestrel does below 240 bytes/s.
        options.Limits.MinResponseDataRate = null;
        options.Limits.MinRequestBodyDataRate = null;
        Listen(options, BindingAddress.Parse(lab.Value.Url), listen => listen.Protocols = HttpProtocols.Http2);
    }

    private static void Listen(KestrelServerOptions options, BindingAddress address, Action<ListenOptions> configure)
    {
        if (address.IsUnixPipe)
            options.ListenUnixSocket(address.UnixPipePath, configure);
        else if (IPAddress.TryParse(address.Host.Trim('[', ']'), out IPAddress? ip))
            options.Listen(ip, address.Port, configure);
        else if (!address.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase))
            options.ListenAnyIP(address.Port, configure);
        else if (address.Port == 0)
            // Kestrel cannot find one port that is free on both loopback addresses.
            options.Listen(IPAddress.Loopback, 0, configure);
        else
            options.ListenLocalhost(address.Port, configure);
    }
}
