using Grpc.Core;
using Lab.ModelHost.OpenInference;
using Lab.ModelHost.Passes;
using Lab.Protos.Inference.V2;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;

namespace Lab.ModelHost.Tests;

/// <summary>How long ModelInfer holds memory: its reply is one message, written after the method has returned.</summary>
public sealed class OpenInferenceMemoryTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private RunLimits Limits => lab.Host.Services.GetRequiredService<RunLimits>();

    [Fact]
    public async Task ModelInfer_UntilItsReplyIsWritten_HoldsTheReply()
    {
        OpenInferenceEndpoint endpoint = ActivatorUtilities.CreateInstance<OpenInferenceEndpoint>(lab.Host.Services);
        Reply reply = new();

        ModelInferResponse response = await endpoint.ModelInfer(Request(1), new Call(reply.Context));

        long bytes = response.RawOutputContents.Sum(output => (long)output.Length) + response.Outputs.Sum(output => 4L * (output.Contents?.Fp32Contents.Count ?? 0));
        bytes.ShouldBePositive();
        Limits.HeldBytes.ShouldBeGreaterThanOrEqualTo(bytes);
        await reply.CompleteAsync();
        Limits.HeldBytes.ShouldBe(0);
    }

    [Fact]
    public async Task ModelInfer_Failed_HoldsNothingOnceTheErrorIsWritten()
    {
        OpenInferenceEndpoint endpoint = ActivatorUtilities.CreateInstance<OpenInferenceEndpoint>(lab.Host.Services);
        using CancellationTokenSource cancelled = new();
        await cancelled.CancelAsync();
        Reply reply = new();

        await Should.ThrowAsync<OperationCanceledException>(endpoint.ModelInfer(Request(1), new Call(reply.Context, cancelled.Token)));

        await reply.CompleteAsync();
        Limits.HeldBytes.ShouldBe(0);
    }

    private static ModelInferRequest Request(int token) => new()
    {
        ModelName = HostedLab.ModelName,
        Inputs = { new ModelInferRequest.Types.InferInputTensor { Name = "input_ids", Datatype = "INT64", Shape = { 1, 1 }, Contents = new InferTensorContents { Int64Contents = { token } } } },
    };

    /// <summary>A reply that is written when the test says so.</summary>
    private sealed class Reply : HttpResponseFeature
    {
        private readonly List<Func<Task>> _whenWritten = [];

        public Reply() => Context.Features.Set<IHttpResponseFeature>(this);

        public DefaultHttpContext Context { get; } = new();

        public override void OnCompleted(Func<object, Task> callback, object state) => _whenWritten.Add(() => callback(state));

        public async Task CompleteAsync()
        {
            foreach (Func<Task> callback in _whenWritten) await callback();
        }
    }

    /// <summary>A call of a client, as ASP.NET Core gives it to the endpoint.</summary>
    private sealed class Call : ServerCallContext
    {
        private readonly CancellationToken _ct;

        public Call(HttpContext context, CancellationToken? ct = null)
        {
            _ct = ct ?? TestContext.Current.CancellationToken;
            UserState["__HttpContext"] = context;
        }

        protected override string MethodCore => "ModelInfer";

        protected override string HostCore => "";

        protected override string PeerCore => "";

        protected override DateTime DeadlineCore => DateTime.MaxValue;

        protected override Metadata RequestHeadersCore => [];

        protected override CancellationToken CancellationTokenCore => _ct;

        protected override Metadata ResponseTrailersCore => [];

        protected override Status StatusCore { get; set; }

        protected override WriteOptions? WriteOptionsCore { get; set; }

        protected override AuthContext AuthContextCore => new("", []);

        protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) => throw new NotSupportedException();

        protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders) => Task.CompletedTask;
    }
}
