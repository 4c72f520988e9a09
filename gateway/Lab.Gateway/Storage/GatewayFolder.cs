using Lab.ServiceDefaults;
using Lab.ServiceDefaults.Runs;
using Microsoft.Extensions.Options;

namespace Lab.Gateway.Storage;

/// <summary>The gateway's part of the data folder, held against other processes for as long as this lives.</summary>
internal sealed class GatewayFolder(IOptions<LabOptions> options) : IDisposable
{
    private readonly RunFolderLock _lock = new(options.Value.Data, "experimentRuns");

    /// <summary>States of runs.</summary>
    public string Grains { get; } = Path.Combine(options.Value.Data, "gateway", "grains");

    /// <summary>Results of steps by the digest of their inputs.</summary>
    public string Steps { get; } = Path.Combine(options.Value.Data, "gateway", "steps");

    public void Dispose() => _lock.Dispose();
}
