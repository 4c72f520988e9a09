using Grpc.Health.V1;
using Grpc.Net.Client;
using Lab.Standalone.Hosting;

namespace Lab.Standalone.Tests.Hosting;

public sealed class EmbeddedLabTests : IDisposable
{
    private readonly CommandLine _lab = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => _lab.Dispose();

    [Fact]
    public async Task StartAsync_FreshFolder_ServesAllPartsThroughTheGateway()
    {
        await using EmbeddedLab lab = await EmbeddedLab.StartAsync(new EmbeddedLabOptions(_lab.Data) { LogsToFile = true }, Ct);

        using GrpcChannel channel = GrpcChannel.ForAddress(lab.Gateway);
        HealthCheckResponse health = await new Health.HealthClient(channel).CheckAsync(new HealthCheckRequest { Service = "Gateway" }, cancellationToken: Ct);
        health.Status.ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);

        // While it runs, those who only look are sent to it.
        (await _lab.InvokeAsync(Ct, "experiments", "--data", _lab.Data)).ShouldBe(ExitCode.Ok);
        (await _lab.InvokeAsync(Ct, "models", "--data", _lab.Data)).ShouldBe(ExitCode.Ok);
        _lab.Output.ToString().ShouldContain("sparse-circuit");

        // Those who work are told.
        (await _lab.InvokeAsync(Ct, "run", "sparse-circuit", "--data", _lab.Data)).ShouldBe(ExitCode.Failed);
        _lab.Error.ToString().ShouldContain("--data");
    }

    [Fact]
    public async Task StartAsync_TwoFolders_DoNotDisturbEachOther()
    {
        await using EmbeddedLab first = await EmbeddedLab.StartAsync(new EmbeddedLabOptions(Path.Combine(_lab.Data, "a")) { LogsToFile = true }, Ct);
        await using EmbeddedLab second = await EmbeddedLab.StartAsync(new EmbeddedLabOptions(Path.Combine(_lab.Data, "b")) { LogsToFile = true }, Ct);

        second.Gateway.ShouldNotBe(first.Gateway);
    }

    [Fact]
    public async Task StartAsync_TakenPort_SaysSoAndLetsGoOfTheFolder()
    {
        await using EmbeddedLab first = await EmbeddedLab.StartAsync(new EmbeddedLabOptions(Path.Combine(_lab.Data, "a")) { LogsToFile = true }, Ct);
        string folder = Path.Combine(_lab.Data, "b");

        CommandException fault = await Should.ThrowAsync<CommandException>(
            () => EmbeddedLab.StartAsync(new EmbeddedLabOptions(folder) { LogsToFile = true, GatewayUrl = first.Gateway.GetLeftPart(UriPartial.Authority) }, Ct));

        fault.Message.ShouldContain(first.Gateway.Port.ToString(null, null));
        DataFolderLock.Take(folder).Dispose();
    }
}
