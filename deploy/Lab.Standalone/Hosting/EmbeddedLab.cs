using Lab.BridgeAlignment;
using Lab.CircuitAnalysis;
using Lab.Gateway;
using Lab.ModelHost;
using Lab.ServiceDefaults;
using Lab.SparseTraining;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Options;

namespace Lab.Standalone.Hosting;

/// <summary>Where and how a lab runs inside this process.</summary>
/// <param name="DataFolder">The folder of runs and artifacts, absolute.</param>
internal sealed record EmbeddedLabOptions(string DataFolder)
{
    /// <summary>Where the gateway listens; a free port of this machine by default.</summary>
    public string GatewayUrl { get; init; } = new LabOptions().Url;

    /// <summary>Whether logs go to {data}/logs/lab.log, because the screen is used otherwise; they go to standard error if not.</summary>
    public bool LogsToFile { get; init; }
}

/// <summary>All five parts in this process. They speak gRPC to each other, as they do when each is a process of its own.</summary>
internal sealed class EmbeddedLab : IAsyncDisposable
{
    // In the order of starting: each is told the addresses of those before it.
    private static readonly (string Name, Action<WebApplicationBuilder> Add, Action<WebApplication> Map)[] _parts =
    [
        ("ModelHost", builder => builder.AddModelHost(), app => app.MapModelHost()),
        ("SparseTraining", builder => builder.AddSparseTraining(), app => app.MapSparseTraining()),
        ("BridgeAlignment", builder => builder.AddBridgeAlignment(), app => app.MapBridgeAlignment()),
        ("CircuitAnalysis", builder => builder.AddCircuitAnalysis(), app => app.MapCircuitAnalysis()),
        ("Gateway", builder => builder.AddGateway(), app => app.MapGateway()),
    ];

    private readonly DataFolderLock _lock;
    private readonly List<WebApplication> _apps = [];
    private readonly Dictionary<string, string> _addresses = [];

    private readonly LogFile? _log;

    private EmbeddedLab(DataFolderLock folderLock, LogFile? log) => (_lock, _log) = (folderLock, log);

    /// <summary>The gateway's address.</summary>
    public Uri Gateway => new(_addresses["Gateway"]);

    /// <exception cref="CommandException">The data folder is in use, or the gateway's port is.</exception>
    public static async Task<EmbeddedLab> StartAsync(EmbeddedLabOptions options, CancellationToken cancellationToken)
    {
        var lab = new EmbeddedLab(
            DataFolderLock.Take(options.DataFolder),
            options.LogsToFile ? new LogFile(Path.Combine(options.DataFolder, "logs", "lab.log")) : null);
        bool isStarted = false;
        try
        {
            foreach ((string name, Action<WebApplicationBuilder> add, Action<WebApplication> map) in _parts)
                await lab.StartPartAsync(name, add, map, options, cancellationToken);
            lab._lock.Publish(lab.Gateway);
            isStarted = true;
            return lab;
        }
        catch (Exception fault) when (fault is IOException or InvalidOperationException or OptionsValidationException)
        {
            throw CommandException.Failed(fault.Message, fault);
        }
        finally
        {
            if (!isStarted) await lab.DisposeAsync();
        }
    }

    /// <summary>Stops the parts, the gateway first. Runs that are not done stay as they are, and go on at the next start.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (WebApplication app in Enumerable.Reverse(_apps))
        {
            await app.StopAsync();
            await app.DisposeAsync();
        }

        _apps.Clear();
        _log?.Dispose();
        _lock.Dispose();
    }

    private async Task StartPartAsync(
        string name, Action<WebApplicationBuilder> add, Action<WebApplication> map, EmbeddedLabOptions options, CancellationToken cancellationToken)
    {
        // The content root is the program's folder: the working directory belongs to whoever calls `lab`.
        WebApplicationBuilder builder = WebApplication.CreateBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        add(builder);
        builder.Configuration.AddInMemoryCollection(Configuration(name, options));
        AllowFolders(builder.Configuration, options);
        // Ctrl-C is for the command, which stops the parts in its own order.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        if (_log is not null) builder.Logging.ClearProviders().AddProvider(_log.For(name));
        else builder.Services.Configure<ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);

        WebApplication app = builder.Build();
        _apps.Add(app);
        map(app);
        await app.StartAsync(cancellationToken);
        _addresses[name] = app.Urls.First();
    }

    /// <summary>Whoever reaches a lab of this machine only may read its folders anyway, and load models from them, unless the settings say which.</summary>
    private static void AllowFolders(ConfigurationManager configuration, EmbeddedLabOptions options)
    {
        const string key = $"{ModelHostOptions.Section}:{nameof(ModelHostOptions.ModelFolders)}";
        bool isForThisMachine = Uri.TryCreate(options.GatewayUrl, UriKind.Absolute, out Uri? url) && url.IsLoopback;
        if (isForThisMachine && !configuration.GetSection(key).Exists())
            configuration.AddInMemoryCollection([new($"{key}:0", Path.GetPathRoot(options.DataFolder))]);
    }

    private Dictionary<string, string?> Configuration(string part, EmbeddedLabOptions options)
    {
        var values = new Dictionary<string, string?>
        {
            [$"{LabOptions.Section}:{nameof(LabOptions.Data)}"] = options.DataFolder,
            [$"{LabOptions.Section}:{nameof(LabOptions.Url)}"] = part == "Gateway" ? options.GatewayUrl : new LabOptions().Url,
        };
        foreach ((string name, string address) in _addresses)
            values[$"{LabOptions.Section}:{nameof(LabOptions.Services)}:{name}"] = address;
        return values;
    }

    /// <summary>A host that neither waits for signals nor writes to the console.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
