namespace Lab.ServiceDefaults.Hosting;

/// <summary>
/// The sizes that both ends of every call agree on. With the defaults of HTTP/2 a stream of tensors is several times slower on loopback.
/// </summary>
internal static class GrpcLimits
{
    /// <summary>Flow-control window of a connection and of a stream.</summary>
    public const int WindowBytes = 8 << 20;

    /// <summary>Largest HTTP/2 frame that is accepted.</summary>
    public const int FrameBytes = 1 << 20;

    /// <summary>Largest gRPC message that is accepted.</summary>
    public const int MessageBytes = 16 << 20;
}
