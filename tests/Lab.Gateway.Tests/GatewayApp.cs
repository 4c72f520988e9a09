using Grpc.Net.Client;
using Lab.Artifacts;
using Lab.Gateway.Definitions;
using Lab.Gateway.Operations;
using Lab.Gateway.Reports;
using Lab.Protos.Experiment.V1;
using Lab.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;

namespace Lab.Gateway.Tests;

/// <summary>A whole gateway, silo and Kestrel included, with the operations of a test.</summary>
internal sealed class GatewayApp : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly TemporaryFolder? _ownFolder;
    private GrpcChannel? _channel;

    private GatewayApp(WebApplication app, TemporaryFolder? ownFolder) => (_app, _ownFolder) = (app, ownFolder);

    public IServiceProvider Services => _app.Services;

    public GrpcChannel Channel => _channel ??= GrpcChannel.ForAddress(_app.Urls.Single());

    public ExperimentService.ExperimentServiceClient Client => new(Channel);

    /// <param name="data">The data folder; null for one of its own.</param>
    /// <param name="operations">In place of those of the lab; none keeps the lab's.</param>
    /// <param name="settings">Further configuration: "Lab:Gateway:MaxParallelSteps=2".</param>
    /// <param name="configure">Replaces services.</param>
    public static GatewayApp Create(
        string? data = null, IReadOnlyList<IOperation>? operations = null, IReadOnlyList<string>? settings = null, Action<IServiceCollection>? configure = null)
    {
        TemporaryFolder? own = data is null ? new TemporaryFolder() : null;
        WebApplicationBuilder builder = WebApplication.CreateBuilder();
        builder.Configuration["Lab:Data"] = data ?? own!.Path;
        foreach (string part in (string[])["ModelHost", "SparseTraining", "BridgeAlignment", "CircuitAnalysis"])
            builder.Configuration[$"Lab:Services:{part}"] = "http://127.0.0.1:9";
        foreach (string[] setting in (settings ?? []).Select(s => s.Split('=', 2)))
            builder.Configuration[setting[0]] = setting[1];
        builder.AddGateway();
        builder.Logging.ClearProviders();
        builder.Services.Replace(ServiceDescriptor.Singleton<IReportBuilder, FakeReportBuilder>());
        if (operations is not null)
        {
            builder.Services.RemoveAll<IOperation>();
            foreach (IOperation operation in operations) builder.Services.AddSingleton(operation);
        }
        configure?.Invoke(builder.Services);
        WebApplication app = builder.Build();
        app.MapGateway();
        return new GatewayApp(app, own);
    }

    public static async Task<GatewayApp> StartAsync(
        string? data = null, IReadOnlyList<IOperation>? operations = null, IReadOnlyList<string>? settings = null, Action<IServiceCollection>? configure = null)
    {
        GatewayApp app = Create(data, operations, settings, configure);
        await app._app.StartAsync(TestContext.Current.CancellationToken);
        return app;
    }

    /// <summary>Watches a run to its end.</summary>
    public async Task<ExperimentRun> EndAsync(string name)
    {
        using var watch = Client.WatchExperimentRun(new WatchExperimentRunRequest { Name = name }, cancellationToken: TestContext.Current.CancellationToken);
        ExperimentRun? last = null;
        while (await watch.ResponseStream.MoveNext(TestContext.Current.CancellationToken)) last = watch.ResponseStream.Current;
        return last.ShouldNotBeNull();
    }

    /// <summary>Creates a run of a definition and watches it to its end.</summary>
    public async Task<ExperimentRun> RunAsync(string yaml, string runId = "", bool ignoreCache = false)
    {
        ExperimentRun run = await CreateRunAsync(new CreateExperimentRunRequest { Yaml = yaml, RunId = runId, IgnoreCache = ignoreCache });
        return await EndAsync(run.Name);
    }

    public Task<ExperimentRun> CreateRunAsync(CreateExperimentRunRequest request) =>
        Client.CreateExperimentRunAsync(request, cancellationToken: TestContext.Current.CancellationToken).ResponseAsync;

    public Task<ExperimentRun> GetRunAsync(string name) =>
        Client.GetExperimentRunAsync(new GetExperimentRunRequest { Name = name }, cancellationToken: TestContext.Current.CancellationToken).ResponseAsync;

    public Task<ExperimentRun> CancelRunAsync(string name) =>
        Client.CancelExperimentRunAsync(new CancelExperimentRunRequest { Name = name }, cancellationToken: TestContext.Current.CancellationToken).ResponseAsync;

    public Task<ExperimentRun> ResumeRunAsync(string name) =>
        Client.ResumeExperimentRunAsync(new ResumeExperimentRunRequest { Name = name }, cancellationToken: TestContext.Current.CancellationToken).ResponseAsync;

    /// <summary>Stores an artifact and points a name at it.</summary>
    /// <returns>The digest.</returns>
    public async Task<string> StoreAsync(string name, string content)
    {
        var store = Services.GetRequiredService<ArtifactStore>();
        StoredArtifact artifact = await store.PutAsync(
            "model", new ArtifactProvenance("test", new Dictionary<string, string>(), [], null),
            (folder, ct) => File.WriteAllTextAsync(Path.Combine(folder, "x"), content, ct), TestContext.Current.CancellationToken);
        await store.SetNameAsync(name, artifact.Digest, TestContext.Current.CancellationToken);
        return artifact.Digest;
    }

    public Task StopAsync() => _app.StopAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        _channel?.Dispose();
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
        _ownFolder?.Dispose();
    }

    private sealed class FakeReportBuilder(ArtifactStore store) : IReportBuilder
    {
        public Task<StoredArtifact> BuildAsync(ExperimentRun run, ExperimentDefinition definition, CancellationToken cancellationToken) =>
            store.PutAsync(
                "report", new ArtifactProvenance("test", new Dictionary<string, string>(), [], null),
                (folder, ct) => File.WriteAllTextAsync(Path.Combine(folder, "report.json"), run.Name, ct), cancellationToken);
    }
}
