using Google.Rpc;
using Grpc.Core;
using Grpc.Net.Client;
using Lab.Protos.SparseTraining.V1;
using Lab.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Lab.ServiceDefaults.Tests.Errors;

/// <summary>The interceptor within a server, over the wire.</summary>
public sealed class ErrorInterceptorTests : IAsyncLifetime
{
    private readonly EchoBehaviour _behaviour = new();
    private readonly LogCollector _log = new();
    private WebApplication _app = null!;
    private GrpcChannel _channel = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.AddLabDefaults("Test");
        builder.Logging.ClearProviders().AddProvider(_log);
        builder.Services.AddSingleton(_behaviour);
        _app = builder.Build();
        _app.MapGrpcService<EchoService>();
        await _app.StartAsync(Ct);
        _channel = GrpcChannel.ForAddress(_app.Urls.Single());
    }

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        await _app.DisposeAsync();
    }

    [Theory]
    [InlineData(MethodType.Unary)]
    [InlineData(MethodType.ClientStreaming)]
    [InlineData(MethodType.ServerStreaming)]
    [InlineData(MethodType.DuplexStreaming)]
    public async Task Call_ExceptionForTheCaller_HasItsStatusAndDetails(MethodType shape)
    {
        _behaviour.Act = _ => throw new InvalidRequestException(new FieldViolation("config.seed", "is odd."), new FieldViolation("run_id", "is long."));

        RpcException thrown = await Should.ThrowAsync<RpcException>(CallAsync(shape));

        thrown.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        Google.Rpc.Status status = thrown.GetRpcStatus().ShouldNotBeNull();
        status.GetDetail<BadRequest>().FieldViolations.Select(v => (v.Field, v.Description)).ShouldBe([("config.seed", "is odd."), ("run_id", "is long.")]);
        status.GetDetail<ErrorInfo>().Reason.ShouldBe("INVALID_REQUEST");
        _log.Errors.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(MethodType.Unary)]
    [InlineData(MethodType.ClientStreaming)]
    [InlineData(MethodType.ServerStreaming)]
    [InlineData(MethodType.DuplexStreaming)]
    public async Task Call_Fault_IsBlandToTheCallerAndLogged(MethodType shape)
    {
        _behaviour.Act = _ => throw new InvalidOperationException("secret");

        RpcException thrown = await Should.ThrowAsync<RpcException>(CallAsync(shape));

        thrown.StatusCode.ShouldBe(StatusCode.Internal);
        thrown.ToString().ShouldNotContain("secret");
        _log.Errors.ShouldHaveSingleItem().Message.ShouldBe("secret");
    }

    [Theory]
    [InlineData(MethodType.Unary)]
    [InlineData(MethodType.ClientStreaming)]
    [InlineData(MethodType.ServerStreaming)]
    [InlineData(MethodType.DuplexStreaming)]
    public async Task Call_RpcException_PassesThrough(MethodType shape)
    {
        _behaviour.Act = _ => throw new RpcException(new Grpc.Core.Status(StatusCode.OutOfRange, "far"), new Metadata { { "key", "value" } });

        RpcException thrown = await Should.ThrowAsync<RpcException>(CallAsync(shape));

        thrown.Status.Detail.ShouldBe("far");
        thrown.StatusCode.ShouldBe(StatusCode.OutOfRange);
        thrown.Trailers.GetValue("key").ShouldBe("value");
    }

    [Fact]
    public async Task Call_NoException_Answers()
    {
        foreach (MethodType shape in Enum.GetValues<MethodType>()) await CallAsync(shape);

        _log.Errors.ShouldBeEmpty();
    }

    [Fact]
    public async Task Call_CancellationWhileTheHostStops_IsUnavailable()
    {
        _behaviour.Act = _ =>
        {
            _app.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
            throw new OperationCanceledException();
        };

        RpcException thrown = await Should.ThrowAsync<RpcException>(CallAsync(MethodType.Unary));

        thrown.StatusCode.ShouldBe(StatusCode.Unavailable);
        thrown.GetRpcStatus()!.GetDetail<RetryInfo>().ShouldNotBeNull();
    }

    [Fact]
    public async Task Call_CancellationFromWithin_IsAFault()
    {
        _behaviour.Act = _ => throw new OperationCanceledException();

        (await Should.ThrowAsync<RpcException>(CallAsync(MethodType.Unary))).StatusCode.ShouldBe(StatusCode.Internal);

        _log.Errors.ShouldHaveSingleItem();
    }

    [Fact]
    public async Task Call_CancelledByTheCaller_IsNoFault()
    {
        using var source = new CancellationTokenSource();
        var ended = new TaskCompletionSource();
        _behaviour.Act = async ct =>
        {
            await source.CancelAsync();
            try
            {
                await Task.Delay(Timeout.Infinite, ct);
            }
            finally
            {
                ended.SetResult();
            }
        };

        RpcException thrown = await Should.ThrowAsync<RpcException>(CallAsync(MethodType.Unary, new CallOptions(cancellationToken: source.Token)));
        await ended.Task.WaitAsync(Ct);
        await _app.StopAsync(Ct);

        thrown.StatusCode.ShouldBe(StatusCode.Cancelled);
        _log.Errors.ShouldBeEmpty();
    }

    [Fact]
    public async Task Call_DeadlineOver_IsDeadlineExceededAndNoFault()
    {
        _behaviour.Act = ct => Task.Delay(Timeout.Infinite, ct);

        RpcException thrown = await Should.ThrowAsync<RpcException>(CallAsync(MethodType.Unary, new CallOptions(deadline: DateTime.UtcNow.AddMilliseconds(50))));
        await _app.StopAsync(Ct);

        thrown.StatusCode.ShouldBe(StatusCode.DeadlineExceeded);
        _log.Errors.ShouldBeEmpty();
    }

    private async Task CallAsync(MethodType shape, CallOptions options = default)
    {
        CallInvoker invoker = _channel.CreateCallInvoker();
        var request = new CorpusRun { Name = "a" };
        switch (shape)
        {
            case MethodType.Unary:
                (await invoker.AsyncUnaryCall(EchoMethods.Unary, null, options, request)).ShouldBe(request);
                break;
            case MethodType.ClientStreaming:
                using (AsyncClientStreamingCall<CorpusRun, CorpusRun> call = invoker.AsyncClientStreamingCall(EchoMethods.ClientStreaming, null, options))
                {
                    await call.RequestStream.WriteAsync(request, Ct);
                    (await call).ShouldBe(request);
                }

                break;
            case MethodType.ServerStreaming:
                using (AsyncServerStreamingCall<CorpusRun> call = invoker.AsyncServerStreamingCall(EchoMethods.ServerStreaming, null, options, request))
                    (await call.ResponseStream.ReadAllAsync(Ct).ToListAsync(Ct)).ShouldBe([request]);
                break;
            default:
                using (AsyncDuplexStreamingCall<CorpusRun, CorpusRun> call = invoker.AsyncDuplexStreamingCall(EchoMethods.DuplexStreaming, null, options))
                {
                    await call.RequestStream.WriteAsync(request, Ct);
                    await call.RequestStream.CompleteAsync();
                    (await call.ResponseStream.ReadAllAsync(Ct).ToListAsync(Ct)).ShouldBe([request]);
                }

                break;
        }
    }
}
