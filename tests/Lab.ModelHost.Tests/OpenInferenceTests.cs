using System.Runtime.InteropServices;
using Google.Protobuf;
using Grpc.Core;
using Lab.Protos.Inference.V2;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;

namespace Lab.ModelHost.Tests;

/// <summary>The Open Inference Protocol against Run.</summary>
public sealed class OpenInferenceTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private const string Hook = "blocks.1.hook_resid_post";
    private const string Pattern = "blocks.0.attn.hook_pattern";

    private static readonly long[,] _rows = { { 1, 2, 3, 4 }, { 5, 6, 7, 8 } };

    private GRPCInferenceService.GRPCInferenceServiceClient Client => new(lab.Host.Channel);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Server_Asked_IsLiveAndReadyAndSaysWhatItIs()
    {
        (await Client.ServerLiveAsync(new ServerLiveRequest(), cancellationToken: Ct)).Live.ShouldBeTrue();
        (await Client.ServerReadyAsync(new ServerReadyRequest(), cancellationToken: Ct)).Ready.ShouldBeTrue();
        ServerMetadataResponse metadata = await Client.ServerMetadataAsync(new ServerMetadataRequest(), cancellationToken: Ct);
        metadata.Name.ShouldBe("lab");
        metadata.Version.ShouldNotBeEmpty();
        metadata.Extensions.ShouldBeEmpty();
    }

    [Fact]
    public async Task ModelReady_ByNameAndVersion_IsThatOfResidentModels()
    {
        string digest = (await lab.Client.GetModelAsync(new GetModelRequest { Name = HostedLab.ModelName }, cancellationToken: Ct)).Digest;
        (await ReadyAsync(HostedLab.ModelName, "")).ShouldBeTrue();
        (await ReadyAsync(HostedLab.ModelName, digest)).ShouldBeTrue();
        (await ReadyAsync(HostedLab.ModelName, "sha256:0")).ShouldBeFalse();
        (await ReadyAsync("models/nothing", "")).ShouldBeFalse();

        async Task<bool> ReadyAsync(string name, string version) =>
            (await Client.ModelReadyAsync(new ModelReadyRequest { Name = name, Version = version }, cancellationToken: Ct)).Ready;
    }

    [Fact]
    public async Task ModelMetadata_Asked_ListsLogitsAndEveryHook()
    {
        ModelMetadataResponse metadata = await Client.ModelMetadataAsync(new ModelMetadataRequest { Name = HostedLab.ModelName }, cancellationToken: Ct);
        ListHooksResponse hooks = await lab.Client.ListHooksAsync(new ListHooksRequest { Model = HostedLab.ModelName }, cancellationToken: Ct);

        metadata.Inputs.Select(input => $"{input.Name} {input.Datatype} {string.Join(',', input.Shape)}").ShouldBe(["input_ids INT64 -1,-1", "attention_mask INT64 -1,-1"]);
        metadata.Outputs.Select(output => output.Name).ShouldBe(["logits", .. hooks.Hooks.Select(hook => hook.Name)]);
        metadata.Outputs[0].Shape.ShouldBe([-1, -1, HostedLab.Config.DVocab]);
        metadata.Outputs.Skip(1).Select(output => output.Shape).ShouldBe(hooks.Hooks.Select(hook => hook.Shape));
        metadata.Versions.ShouldHaveSingleItem().ShouldStartWith("sha256:");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ModelInfer_OfHooksAndLogits_GivesWhatRunGives(bool isRaw)
    {
        ModelInferRequest request = Request(_rows, isRaw, Hook, "logits", "1.mlp.post_act", Pattern);
        request.Id = "seven";
        RunReply run = await RunAsync("fp32", [1, 2, 3, 4], [5, 6, 7, 8]);

        ModelInferResponse response = await Client.ModelInferAsync(request, cancellationToken: Ct);

        response.Id.ShouldBe("seven");
        response.ModelVersion.ShouldBe(run.Started.ModelDigest);
        response.Outputs.Select(output => output.Name).ShouldBe([Hook, "logits", "1.mlp.post_act", Pattern]);
        response.RawOutputContents.Count.ShouldBe(isRaw ? 4 : 0);
        string[] names = [Hook, "logits", "blocks.1.mlp.hook_post", Pattern];
        for (int i = 0; i < names.Length; i++)
        {
            HostTensor expected = run.Tensors.Single(tensor => tensor.Name == names[i]);
            response.Outputs[i].Datatype.ShouldBe("FP32");
            response.Outputs[i].Shape.ShouldBe(expected.Shape);
            Floats(response, i).ShouldBe(expected.Floats.ToArray(), 1e-6);
        }
    }

    [Fact]
    public async Task ModelInfer_WithoutOutputs_GivesLogits()
    {
        ModelInferResponse response = await Client.ModelInferAsync(Request(_rows, isRaw: false), cancellationToken: Ct);
        response.Outputs.ShouldHaveSingleItem().Name.ShouldBe("logits");
        response.Outputs[0].Shape.ShouldBe([2, 4, HostedLab.Config.DVocab]);
    }

    [Theory]
    [InlineData("FP16", "fp16")]
    [InlineData("BF16", "bf16")]
    public async Task ModelInfer_InSixteenBits_IsRaw(string type, string runType)
    {
        ModelInferRequest request = Request(_rows, isRaw: false, Hook);
        request.Parameters["data_type"] = new InferParameter { StringParam = type };
        ModelInferResponse response = await Client.ModelInferAsync(request, cancellationToken: Ct);
        response.Outputs.ShouldHaveSingleItem().Datatype.ShouldBe(type);
        response.Outputs[0].Contents.ShouldBeNull();
        response.RawOutputContents.ShouldHaveSingleItem().Memory.ToArray()
            .ShouldBe((await RunAsync(runType, [1, 2, 3, 4], [5, 6, 7, 8])).Tensors.Single(tensor => tensor.Name == Hook).Data.ToArray());
    }

    [Theory]
    [InlineData("INT64")]
    [InlineData("INT32")]
    [InlineData("BOOL")]
    public async Task ModelInfer_WithPaddingOnEitherSide_KeepsTheRequestsLayout(string maskType)
    {
        long[,] rows = { { 9, 9, 9, 1, 2, 3 }, { 5, 6, 9, 9, 9, 9 } };
        ModelInferRequest request = Request(rows, isRaw: false, Hook, "logits", Pattern);
        request.Inputs.Add(Mask(maskType, [0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0]));
        RunReply run = await RunAsync("fp32", [1, 2, 3], [5, 6]);

        ModelInferResponse response = await Client.ModelInferAsync(request, cancellationToken: Ct);

        (int Start, int Count)[] places = [(3, 3), (0, 2)];
        foreach ((int i, string name) in ((string[])[Hook, "logits"]).Index())
        {
            float[] expected = run.Tensors.Single(tensor => tensor.Name == name).Floats.ToArray();
            int width = (int)response.Outputs[i].Shape[2];
            response.Outputs[i].Shape.ShouldBe([2, 6, width]);
            float[] actual = Floats(response, i);
            for (int row = 0; row < 2; row++)
            {
                (int start, int count) = places[row];
                for (int position = 0; position < 6; position++)
                {
                    float[] wanted = position >= start && position < start + count ? expected[(((row * 3) + position - start) * width)..][..width] : new float[width];
                    actual[(((row * 6) + position) * width)..][..width].ShouldBe(wanted, 1e-6, $"{name} {row} {position}");
                }
            }
        }

        float[] pattern = Floats(response, 2), narrow = run.Tensors.Single(tensor => tensor.Name == Pattern).Floats.ToArray();
        response.Outputs[2].Shape.ShouldBe([2, 2, 6, 6]);
        pattern.Sum().ShouldBe(narrow.Sum(), 1e-5);
        for (int query = 0; query < 3; query++)
            for (int key = 0; key < 3; key++)
                pattern[((3 + query) * 6) + 3 + key].ShouldBe(narrow[(query * 3) + key], 1e-6);
    }

    [Fact]
    public async Task ModelInfer_OfAnUnknownModelOrVersion_IsNotFound()
    {
        ModelInferRequest unknown = Request(_rows, isRaw: true), version = Request(_rows, isRaw: true);
        unknown.ModelName = "models/nothing";
        version.ModelVersion = "sha256:0";
        (await CallErrors.ErrorOf(async () => await Client.ModelInferAsync(unknown, cancellationToken: Ct))).StatusCode.ShouldBe(StatusCode.NotFound);
        (await CallErrors.ErrorOf(async () => await Client.ModelInferAsync(version, cancellationToken: Ct))).StatusCode.ShouldBe(StatusCode.NotFound);
        (await CallErrors.ErrorOf(async () => await Client.ModelMetadataAsync(new ModelMetadataRequest { Name = "models/nothing" }, cancellationToken: Ct)))
            .StatusCode.ShouldBe(StatusCode.NotFound);
    }

    public static TheoryData<string, Action<ModelInferRequest>> Malformed => new()
    {
        { "inputs", r => r.Inputs.Clear() },
        { "inputs[0].name", r => r.Inputs[0].Name = "ids" },
        { "inputs[1].name", r => r.Inputs.Add(r.Inputs[0].Clone()) },
        { "inputs[0].datatype", r => r.Inputs[0].Datatype = "FP32" },
        { "inputs[0].shape", r => r.Inputs[0].Shape.RemoveAt(0) },
        { "inputs[0].shape", r => r.Inputs[0].Shape[0] = -1 },
        { "inputs[0].shape", r => r.Inputs[0].Shape[1] = long.MaxValue },
        { "inputs[0].contents", r => r.Inputs[0].Contents = null },
        { "inputs[0].contents.int64_contents", r => r.Inputs[0].Contents.Int64Contents.Add(1) },
        { "inputs[0].contents.int64_contents", r => r.Inputs[0].Contents.Int64Contents[3] = HostedLab.Config.DVocab },
        { "inputs[0].contents.int64_contents", r => r.Inputs[0].Contents.Int64Contents[3] = -1 },
        { "inputs[0].contents.int_contents", r => r.Inputs[0].Datatype = "INT32" },
        { "inputs[0].contents", r => r.RawInputContents.Add(ByteString.CopyFrom(new byte[64])) },
        { "raw_input_contents", r => r.RawInputContents.AddRange([ByteString.Empty, ByteString.Empty]) },
        { "raw_input_contents[0]", r => ToRaw(r, new byte[63]) },
        { "raw_input_contents[0]", r => ToRaw(r, new byte[56]) },
        { "raw_input_contents[0]", r => ToRaw(r, [.. Enumerable.Repeat((byte)255, 64)]) },
        { "inputs[0].parameters[\"shared_memory_region\"]", r => r.Inputs[0].Parameters["shared_memory_region"] = new InferParameter { StringParam = "a" } },
        { "inputs[1].shape", r => r.Inputs.Add(Mask("INT64", [1, 1, 1, 1, 1, 1, 1, 1], columns: 8)) },
        { "inputs[1].contents.int64_contents", r => r.Inputs.Add(Mask("INT64", [1, 1, 1, 1, 0, 0, 0, 0], columns: 4)) },
        { "inputs[1].contents.int64_contents", r => r.Inputs.Add(Mask("INT64", [1, 0, 1, 1, 1, 1, 1, 1], columns: 4)) },
        { "inputs[1].contents.int64_contents", r => r.Inputs.Add(Mask("INT64", [0, 1, 1, 0, 1, 1, 1, 1], columns: 4)) },
        { "inputs[1].contents.int64_contents", r => r.Inputs.Add(Mask("INT64", [1, 1, 1, 1, 2, 1, 1, 1], columns: 4)) },
        { "outputs[1].name", r => r.Outputs.AddRange([Output("logits"), Output("blocks.*.hook_resid_post")]) },
        { "outputs[1].name", r => r.Outputs.AddRange([Output("logits"), Output("logits")]) },
        { "outputs[0].parameters[\"classification\"]", r => r.Outputs.Add(new ModelInferRequest.Types.InferRequestedOutputTensor { Name = "logits", Parameters = { ["classification"] = new InferParameter { Int64Param = 3 } } }) },
        { "parameters[\"timeout\"]", r => r.Parameters["timeout"] = new InferParameter { Int64Param = 3 } },
        { "parameters[\"data_type\"]", r => r.Parameters["data_type"] = new InferParameter { StringParam = "INT8" } },
        { "parameters[\"data_type\"]", r => r.Parameters["data_type"] = new InferParameter { StringParam = "FP64" } },
        { "inputs[0].shape", r => { r.Inputs[0].Shape[1] = 65; r.Inputs[0].Shape[0] = 1; r.Inputs[0].Contents.Int64Contents.AddRange(new long[57]); } },
    };

    [Theory]
    [MemberData(nameof(Malformed))]
    public async Task ModelInfer_OfAMalformedRequest_NamesTheField(string field, Action<ModelInferRequest> spoil)
    {
        ModelInferRequest request = Request(_rows, isRaw: false);
        spoil(request);
        (await CallErrors.ErrorOf(async () => await Client.ModelInferAsync(request, cancellationToken: Ct))).Field().ShouldBe(field);
    }

    [Fact]
    public async Task ModelInfer_ThatPadsAboveTheBudget_IsRefused()
    {
        // One token in each of 64 rows is little, but with the request's 4096 positions the pattern alone would be 8 GiB.
        ModelInferRequest wide = new() { ModelName = HostedLab.ModelName, Outputs = { Output(Pattern) } };
        byte[] mask = new byte[64 * 4096];
        for (int row = 0; row < 64; row++) mask[row * 4096] = 1;
        wide.Inputs.Add(new ModelInferRequest.Types.InferInputTensor { Name = "input_ids", Datatype = "INT32", Shape = { 64, 4096 } });
        wide.Inputs.Add(new ModelInferRequest.Types.InferInputTensor { Name = "attention_mask", Datatype = "BOOL", Shape = { 64, 4096 } });
        wide.RawInputContents.AddRange([ByteString.CopyFrom(new byte[64 * 4096 * 4]), ByteString.CopyFrom(mask)]);
        RpcException refused = await CallErrors.ErrorOf(async () => await Client.ModelInferAsync(wide, cancellationToken: Ct));
        refused.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
        refused.Reason().ShouldBe("BYTE_BUDGET_EXCEEDED");
    }

    private async Task<RunReply> RunAsync(string type, params int[][] rows)
    {
        RunRequest request = HostedLab.Request(rows);
        request.Captures.Add(((string[])[Hook, "1.mlp.post_act", Pattern]).Select(hook => new Selector { Hook = hook }));
        request.Logits = LogitsMode.All;
        request.DataType = type switch { "fp16" => Protos.Tensor.V1.DataType.Fp16, "bf16" => Protos.Tensor.V1.DataType.Bf16, _ => Protos.Tensor.V1.DataType.Fp32 };
        return await lab.RunAsync(request);
    }

    private static ModelInferRequest Request(long[,] rows, bool isRaw, params string[] outputs)
    {
        long[] ids = [.. rows.Cast<long>()];
        ModelInferRequest request = new() { ModelName = HostedLab.ModelName, Outputs = { outputs.Select(Output) } };
        ModelInferRequest.Types.InferInputTensor input = new() { Name = "input_ids", Datatype = "INT64", Shape = { rows.GetLength(0), rows.GetLength(1) } };
        if (isRaw) request.RawInputContents.Add(ByteString.CopyFrom(MemoryMarshal.AsBytes(ids.AsSpan())));
        else input.Contents = new InferTensorContents { Int64Contents = { ids } };
        request.Inputs.Add(input);
        return request;
    }

    private static ModelInferRequest.Types.InferRequestedOutputTensor Output(string name) => new() { Name = name };

    private static ModelInferRequest.Types.InferInputTensor Mask(string type, int[] values, int columns = 6)
    {
        InferTensorContents contents = new();
        if (type == "INT64") contents.Int64Contents.AddRange(values.Select(value => (long)value));
        else if (type == "INT32") contents.IntContents.AddRange(values);
        else contents.BoolContents.AddRange(values.Select(value => value == 1));
        return new ModelInferRequest.Types.InferInputTensor { Name = "attention_mask", Datatype = type, Shape = { values.Length / columns, columns }, Contents = contents };
    }

    private static void ToRaw(ModelInferRequest request, byte[] bytes)
    {
        request.Inputs[0].Contents = null;
        request.RawInputContents.Add(ByteString.CopyFrom(bytes));
    }

    private static float[] Floats(ModelInferResponse response, int output) => response.RawOutputContents.Count > 0
        ? MemoryMarshal.Cast<byte, float>(response.RawOutputContents[output].Span).ToArray()
        : [.. response.Outputs[output].Contents.Fp32Contents];
}
