using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using Grpc.Reflection.V1Alpha;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults.Tests.Errors;
using Lab.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Lab.ServiceDefaults.Tests.Hosting;

public sealed class LabHostingTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task App_OnAFreePort_IsHealthyAndReflects()
    {
        await using WebApplication app = await StartAsync(new() { ["Lab:Url"] = "http://localhost:0" });
        using GrpcChannel channel = GrpcChannel.ForAddress(app.Urls.Single());
        var health = new Health.HealthClient(channel);

        new Uri(app.Urls.Single()).Port.ShouldNotBe(0);
        foreach (string service in (string[])["", "Test"])
            (await health.CheckAsync(new HealthCheckRequest { Service = service }, cancellationToken: Ct)).Status.ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);

        using AsyncDuplexStreamingCall<ServerReflectionRequest, ServerReflectionResponse> reflection =
            new ServerReflection.ServerReflectionClient(channel).ServerReflectionInfo(cancellationToken: Ct);
        await reflection.RequestStream.WriteAsync(new ServerReflectionRequest { ListServices = "" }, Ct);
        (await reflection.ResponseStream.MoveNext(Ct)).ShouldBeTrue();
        reflection.ResponseStream.Current.ListServicesResponse.Service.Select(s => s.Name).ShouldContain("grpc.health.v1.Health");
    }

    [Fact]
    public async Task App_OnAUnixSocket_Answers()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "lab.sock");
        await using WebApplication app = await StartAsync(new() { ["Lab:Url"] = $"http://unix:{path}" });
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, ct) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), ct);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        using GrpcChannel channel = GrpcChannel.ForAddress("http://lab", new GrpcChannelOptions { HttpHandler = handler });

        (await new Health.HealthClient(channel).CheckAsync(new HealthCheckRequest(), cancellationToken: Ct)).Status.ShouldBe(HealthCheckResponse.Types.ServingStatus.Serving);
    }

    [Fact]
    public async Task App_MessagesUpToTheLimit_AreTaken()
    {
        await using WebApplication app = await StartAsync([]);
        using GrpcChannel channel = GrpcChannel.ForAddress(app.Urls.Single(), new GrpcChannelOptions { MaxReceiveMessageSize = null });
        CallInvoker invoker = channel.CreateCallInvoker();
        var large = new CorpusRun { Corpus = new string('a', 15 << 20) };

        (await invoker.AsyncUnaryCall(EchoMethods.Unary, null, default, large)).Corpus.Length.ShouldBe(15 << 20);
        (await Should.ThrowAsync<RpcException>(invoker.AsyncUnaryCall(EchoMethods.Unary, null, default, new CorpusRun { Corpus = new string('a', 17 << 20) }).ResponseAsync))
            .StatusCode.ShouldBe(StatusCode.ResourceExhausted);
    }

    [Fact]
    public async Task Options_Defaults_AreAsDocumented()
    {
        await using WebApplication app = await StartAsync([]);
        LabOptions options = app.Services.GetRequiredService<IOptions<LabOptions>>().Value;

        options.Data.ShouldBe(Path.GetFullPath("./lab-data"));
        options.Device.ShouldBe("auto");
        options.Threads.ShouldBe(0);
        new Uri(app.Urls.Single()).Host.ShouldBe(IPAddress.Loopback.ToString());
    }

    [Theory]
    [InlineData("Lab:Url", "http//x")]
    [InlineData("Lab:Url", "https://127.0.0.1:0")]
    [InlineData("Lab:Url", "")]
    [InlineData("Lab:Data", "")]
    [InlineData("Lab:Device", "gpu")]
    [InlineData("Lab:Threads", "-1")]
    [InlineData("Lab:Services:ModelHost", "127.0.0.1:5000")]
    public async Task Start_BadOption_NamesIt(string key, string value)
    {
        OptionsValidationException thrown = await Should.ThrowAsync<OptionsValidationException>(StartAsync(new() { [key] = value }));

        thrown.Message.ShouldContain(key.Split(':')[1]);
    }

    [Theory]
    [InlineData("Microsoft.AspNetCore.Hosting", null, LogLevel.Warning)]
    [InlineData("Microsoft.AspNetCore.Hosting", "Debug", LogLevel.Debug)]
    [InlineData("Lab.ModelHost", null, LogLevel.Information)]
    public async Task Logging_Levels_AreQuietForTheFrameworkButCanBeSet(string category, string? configured, LogLevel least)
    {
        WebApplicationBuilder builder = CreateBuilder(configured is null ? [] : new() { ["Logging:LogLevel:Microsoft"] = configured });
        await using WebApplication app = builder.Build();
        ILogger logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger(category);

        logger.IsEnabled(least).ShouldBeTrue();
        logger.IsEnabled(least - 1).ShouldBeFalse();
    }

    private static WebApplicationBuilder CreateBuilder(Dictionary<string, string?> configuration)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Configuration.AddInMemoryCollection(configuration);
        return builder.AddLabDefaults("Test");
    }

    private static async Task<WebApplication> StartAsync(Dictionary<string, string?> configuration)
    {
        WebApplicationBuilder builder = CreateBuilder(configuration);
        builder.Services.AddSingleton<EchoBehaviour>();
        WebApplication app = builder.Build();
        app.MapLabDefaults();
        app.MapGrpcService<EchoService>();
        await app.StartAsync(Ct);
        return app;
    }
}
