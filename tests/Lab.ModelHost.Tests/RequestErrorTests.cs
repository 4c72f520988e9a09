using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.Tensors;
using static Lab.ModelHost.Tests.CallErrors;
using static Lab.ModelHost.Tests.HostedLab;

namespace Lab.ModelHost.Tests;

public sealed class RequestErrorTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private static Intervention Set(Tensor value) => new() { Selector = new Selector { Hook = "hook_embed" }, Set = new SetOperation { Value = new TensorSource { Inline = value } } };

    public static TheoryData<string, Action<RunRequest>> BadRequests => new()
    {
        { "input", request => request.Input = null },
        { "input.tokens.rows", request => request.Input.Tokens.Rows.Clear() },
        { "input.tokens.rows[1]", request => request.Input.Tokens.Rows.Add(new TokenRow()) },
        { "input.tokens.rows[0].ids[3]", request => request.Input.Tokens.Rows[0].Ids[3] = Config.DVocab },
        { "input.tokens.rows[0]", request => request.Input.Tokens.Rows[0].Ids.Add(new int[61]) },
        { "input.texts.texts[1]", request => request.Input = new Input { Texts = new Texts { Texts_ = { "a", "" } } } },
        { "input.texts.texts[0]", request => request.Input = new Input { Texts = new Texts { Texts_ = { new string('#', 300) } } } },
        { "captures[0].hook", request => request.Captures.Add(new Selector { Hook = "blocks.0.hook_nothing" }) },
        { "captures[0].positions[1]", request => request.Captures.Add(new Selector { Hook = "hook_embed", Positions = { 3, 4 } }) },
        { "captures[0].rows[0]", request => request.Captures.Add(new Selector { Hook = "hook_embed", Rows = { 1 } }) },
        { "captures[0].heads", request => request.Captures.Add(new Selector { Hook = "hook_embed", Heads = { 0 } }) },
        { "interventions[0].selector", request => request.Interventions.Add(new Intervention { Zero = new ZeroOperation() }) },
        { "interventions[0]", request => request.Interventions.Add(new Intervention { Selector = new Selector { Hook = "hook_embed" } }) },
        { "interventions[0].selector.positions[2]", request => request.Interventions.Add(new Intervention { Selector = new Selector { Hook = "hook_embed", Positions = { 0, 1, -5 } }, Zero = new ZeroOperation() }) },
        { "interventions[0].set.value", request => request.Interventions.Add(new Intervention { Selector = new Selector { Hook = "hook_embed" }, Set = new SetOperation { Value = new TensorSource() } }) },
        { "interventions[0].set.value", request => request.Interventions.Add(Set(HostTensor.FromFloats("", [1, 2], 2).ToMessage())) },
        { "interventions[0].set.value.inline.data", request => request.Interventions.Add(Set(new Tensor { DataType = DataType.Fp32, Shape = { 2 }, Data = ByteString.CopyFrom(new byte[7]) })) },
        { "interventions[0].set.value.inline.data_type", request => request.Interventions.Add(Set(new Tensor { Shape = { 1 }, Data = ByteString.CopyFrom(new byte[4]) })) },
        { "interventions[0].patch.source_row", request => request.Interventions.Add(new Intervention { Selector = new Selector { Hook = "hook_embed" }, Patch = new PatchOperation { SourceRow = 2 } }) },
        { "data_type", request => request.DataType = DataType.Int32 },
        { "encoding", request => (request.DataType, request.Encoding) = (DataType.Fp16, Encoding.Sparse) },
        {
            "encoding", request =>
            {
                request.Captures.Add(new Selector { Hook = "blocks.0.attn.hook_attn_scores" });
                request.Encoding = Encoding.Int8Scaled;
            }
        },
        { "logits", request => request.Logits = (LogitsMode)9 },
        { "budget.max_bytes", request => request.Budget = new Budget { MaxBytes = -1 } },
    };

    [Theory]
    [MemberData(nameof(BadRequests))]
    public async Task Run_BadRequest_NamesTheField(string field, Action<RunRequest> spoil)
    {
        RunRequest request = Request([1, 2, 3, 4]);
        spoil(request);

        (await ErrorOf(() => lab.RunAsync(request))).Field().ShouldBe(field);
    }

    [Fact]
    public async Task Plan_BadRequest_NamesTheFieldInThePlan()
    {
        RpcException e = await ErrorOf(async () => await lab.Client.PlanAsync(new PlanRequest { Run = Request([1], []) }));

        e.Field().ShouldBe("run.input.tokens.rows[1]");
    }

    [Fact]
    public async Task Run_UnknownModel_IsNotFoundWithResourceInfo()
    {
        RunRequest request = Request([1]);
        request.Model = "models/nowhere";

        RpcException e = await ErrorOf(() => lab.RunAsync(request));

        e.StatusCode.ShouldBe(StatusCode.NotFound);
        e.GetRpcStatus()!.GetDetail<ResourceInfo>()!.ResourceName.ShouldBe("models/nowhere");
    }

    [Fact]
    public async Task Run_MalformedModelName_NamesTheField()
    {
        RunRequest request = Request([1]);
        request.Model = "../secrets";

        (await ErrorOf(() => lab.RunAsync(request))).Field().ShouldBe("model");
    }

    [Fact]
    public async Task Run_BeyondItsByteBudget_IsRefusedBeforeItRuns()
    {
        RunRequest request = Request([1, 2, 3, 4]);
        request.Captures.Add(new Selector { Hook = "hook_embed" });
        request.Budget = new Budget { MaxBytes = (4 * 32 * 4) - 1 };

        RpcException e = await ErrorOf(() => lab.RunAsync(request));

        e.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        e.Reason().ShouldBe("BYTE_BUDGET_EXCEEDED");
        request.Budget.MaxBytes++;
        (await lab.RunAsync(request)).Tensors.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Run_Overflow_IsNonFiniteAndNamesTheHook()
    {
        RunRequest request = Request([1, 2, 3, 4]);
        Intervention large = new() { Selector = new Selector { Hook = "blocks.1.hook_resid_mid" }, Scale = new ScaleOperation { Factor = 1e38f } };
        request.Interventions.Add(large);
        request.Interventions.Add(large);
        request.Captures.Add(new Selector { Hook = "blocks.1.hook_resid_mid" });

        RpcException e = await ErrorOf(() => lab.RunAsync(request));

        e.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        e.Reason().ShouldBe("NON_FINITE");
        e.Status.Detail.ShouldContain("blocks.1.hook_resid_mid");
    }

    [Fact]
    public async Task ListModels_BadPage_NamesTheField()
    {
        (await ErrorOf(async () => await lab.Client.ListModelsAsync(new ListModelsRequest { PageSize = -1 }))).Field().ShouldBe("page_size");
        (await ErrorOf(async () => await lab.Client.ListModelsAsync(new ListModelsRequest { PageToken = "?" }))).Field().ShouldBe("page_token");
    }

    [Fact]
    public async Task Detokenize_UnknownToken_NamesTheField()
    {
        RpcException e = await ErrorOf(async () => await lab.Client.DetokenizeAsync(new DetokenizeRequest { Model = ModelName, Ids = { 1, -1 } }));

        e.Field().ShouldBe("ids[1]");
    }
}
