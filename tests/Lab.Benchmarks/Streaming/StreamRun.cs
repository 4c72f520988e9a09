namespace Lab.Benchmarks.Streaming;

/// <summary>What one streamed answer took.</summary>
/// <param name="Bytes">Bytes of tensors that arrived.</param>
/// <param name="TotalMs">From the request to the end of the stream.</param>
/// <param name="WaitMs">Of these, until the first message came.</param>
/// <param name="ComputeMs">Of these, in the forward pass, as the server says; 0 for the bare stream.</param>
internal readonly record struct StreamRun(long Bytes, double TotalMs, double WaitMs, double ComputeMs)
{
    /// <summary>Bytes a second from the request on, in MB (10^6).</summary>
    public double MegabytesPerSecond => Bytes / TotalMs / 1e3;

    /// <summary>Bytes a second once the first message is there.</summary>
    public double StreamingMegabytesPerSecond => Bytes / (TotalMs - WaitMs) / 1e3;
}
