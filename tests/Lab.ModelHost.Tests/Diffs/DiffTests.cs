using Grpc.Core;
using Lab.ModelHost.Passes;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.Tensors;
using Microsoft.Extensions.DependencyInjection;
using static Lab.ModelHost.Tests.CallErrors;
using static Lab.ModelHost.Tests.HostedLab;

namespace Lab.ModelHost.Tests.Diffs;

public sealed class DiffTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private static readonly int[][] _rows = [[5, 6, 7, 8], [9, 10], [11, 12, 13]];

    private static DiffRequest Scaled(float factor, string hook = "blocks.0.hook_mlp_out")
    {
        RunRequest run = Request(_rows);
        run.Interventions.Add(new Intervention { Selector = new Selector { Hook = hook, Rows = { 0, 2 }, Positions = { -1 } }, Scale = new ScaleOperation { Factor = factor } });
        return new DiffRequest { Run = run };
    }

    [Fact]
    public async Task Diff_Deltas_AreThoseOfTwoRuns()
    {
        DiffRequest request = Scaled(3);
        request.Run.Captures.Add([new Selector { Hook = "blocks.1.hook_resid_post" }, new Selector { Hook = "blocks.1.attn.hook_z", Heads = { 1 }, Positions = { -1 } }]);
        request.Run.Logits = LogitsMode.All;

        DiffReply reply = await RunAsync(request);

        List<HostTensor> changed = (await lab.RunAsync(request.Run)).Tensors;
        RunRequest cleanRun = request.Run.Clone();
        cleanRun.Interventions.Clear();
        List<HostTensor> clean = (await lab.RunAsync(cleanRun)).Tensors;
        reply.Tensors.Select(tensor => tensor.Name).ShouldBe(clean.Select(tensor => $"delta/{tensor.Name}"));
        for (int i = 0; i < clean.Count; i++)
        {
            for (int j = 0; j < clean[i].ElementCount; j++) reply.Tensors[i].Floats[j].ShouldBe(changed[i].Floats[j] - clean[i].Floats[j], 1e-4f);
        }

        reply.Tensors[1].Floats.ToArray().Index().Where(one => one.Item != 0).Select(one => one.Index / 32).Distinct().ShouldBe([3, 10]);
        reply.Started.Tensors.Select(tensor => tensor.HasCapture ? tensor.Capture : -1).ShouldBe([1, 0, -1]);
        reply.Summary.Run.FireCounts.ShouldBe([1]);
        reply.Summary.Run.BatchedRows.ShouldBe(6);
        reply.Summary.MeanKl.ShouldBeEmpty();
    }

    [Fact]
    public async Task Diff_ChangeThatChangesNothing_IsZero()
    {
        DiffRequest request = Scaled(1);
        request.Run.Captures.Add([new Selector { Hook = "blocks.*.*" }, new Selector { Hook = "blocks.*.attn.*" }]);
        request.Run.Logits = LogitsMode.Last;
        request.Divergence = DivergenceMode.LogitLens;
        request.Deltas = DeltaMode.DeltasAndNorms;

        DiffReply reply = await RunAsync(request);

        reply.Tensors.Count.ShouldBeGreaterThan(60);
        foreach (HostTensor tensor in reply.Tensors) tensor.Floats.ToArray().ShouldAllBe(x => x == 0, tensor.Name);
        reply.Summary.MeanKl.ShouldBe([0, 0, 0]);
        reply.Summary.Top1Agreement.ShouldBe([1, 1, 1], 1e-9);
    }

    [Fact]
    public async Task Diff_LogitLens_HasAValueForEveryLayerAndToken()
    {
        DiffRequest request = Scaled(-2);
        request.Divergence = DivergenceMode.LogitLens;

        DiffReply reply = await RunAsync(request);

        HostTensor kl = reply.Tensors.ShouldHaveSingleItem();
        (kl.Name, TensorShape.Format(kl.Shape)).ShouldBe(("kl", "[2, 3, 4]"));
        int[] touched = [3, 10, 15, 22];
        for (int i = 0; i < 24; i++) (kl.Floats[i] > 0).ShouldBe(touched.Contains(i), $"element {i}");
        reply.Summary.MeanKl.ShouldBe([kl.Floats[15] / 4.0, 0, kl.Floats[22] / 3.0], 1e-6);
        request.Divergence = DivergenceMode.Final;
        (await RunAsync(request)).Tensors[0].Floats.ToArray().ShouldBe(kl.Floats[12..].ToArray());
    }

    [Fact]
    public async Task Diff_LeftPadding_MovesEveryTensorsRows()
    {
        DiffRequest request = Scaled(-2);
        request.Run.Captures.Add([new Selector { Hook = "blocks.1.hook_resid_mid" }, new Selector { Hook = "blocks.1.attn.hook_pattern" }]);
        request.Run.Logits = LogitsMode.All;
        request.Divergence = DivergenceMode.LogitLens;
        request.Deltas = DeltaMode.DeltasAndNorms;
        DiffReply right = await RunAsync(request);
        request.Run.Input.PaddingSide = PaddingSide.Left;

        DiffReply left = await RunAsync(request);

        left.Started.PaddingSide.ShouldBe(PaddingSide.Left);
        float At(DiffReply reply, string name, params int[] index)
        {
            HostTensor tensor = reply.Tensors.Single(one => one.Name == name);
            index.Length.ShouldBe(tensor.Shape.Length);
            return tensor.Floats[(int)index.Zip(tensor.Shape).Aggregate(0L, (flat, dimension) => (flat * dimension.Second) + dimension.First)];
        }

        float value = At(right, "delta/blocks.1.hook_resid_mid", 2, 2, 5);
        value.ShouldNotBe(0);
        At(left, "delta/blocks.1.hook_resid_mid", 2, 3, 5).ShouldBe(value);
        At(left, "norm/blocks.1.hook_resid_mid", 2, 3).ShouldBe(At(right, "norm/blocks.1.hook_resid_mid", 2, 2));
        At(left, "relative_norm/blocks.1.attn.hook_pattern", 2, 1, 3).ShouldBe(At(right, "relative_norm/blocks.1.attn.hook_pattern", 2, 1, 2));
        At(right, "relative_norm/blocks.1.attn.hook_pattern", 2, 1, 2).ShouldBeGreaterThan(0);
        At(left, "delta/blocks.1.attn.hook_pattern", 2, 0, 3, 1).ShouldBe(At(right, "delta/blocks.1.attn.hook_pattern", 2, 0, 2, 0));
        At(left, "delta/logits", 2, 3, 7).ShouldBe(At(right, "delta/logits", 2, 2, 7));
        for (int layer = 0; layer < 2; layer++) At(left, "kl", layer, 2, 3).ShouldBe(At(right, "kl", layer, 2, 2));
        At(right, "kl", 1, 2, 2).ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task Diff_ThresholdAndSparseEncoding_SendWhatIsLarge()
    {
        DiffRequest request = Scaled(-2);
        request.Run.Captures.Add(new Selector { Hook = "blocks.0.hook_resid_post" });
        request.Deltas = DeltaMode.DeltasAndNorms;
        DiffReply all = await RunAsync(request);
        float[] norms = [.. all.Tensors[1].Floats.ToArray().Where(x => x > 0).Order()];
        norms.Length.ShouldBe(2);
        request.MinNorm = (norms[0] + norms[1]) / 2;
        request.Run.Encoding = Encoding.Sparse;

        DiffReply large = await RunAsync(request);

        float[] whole = all.Tensors[0].Floats.ToArray(), cut = large.Tensors[0].Floats.ToArray();
        cut.Count(x => x != 0).ShouldBeInRange(1, whole.Count(x => x != 0) - 1);
        for (int i = 0; i < cut.Length; i++) cut[i].ShouldBe(all.Tensors[1].Floats[i / 32] == norms[1] ? whole[i] : 0);
        large.Tensors[1].ShouldBe(all.Tensors[1]);
        large.Encodings.ShouldBe([Encoding.Sparse, Encoding.Raw, Encoding.Raw]);
    }

    [Fact]
    public async Task Diff_WeightEdit_IsAChangeToo()
    {
        float[] delta = [.. Enumerable.Range(0, 32).Select(i => i / 8f)];
        DiffRequest request = new() { Run = Request(_rows), Divergence = DivergenceMode.Final };
        request.Run.WeightEdits.Add(new WeightEdit
        {
            Parameter = "transformer.h.1.mlp.c_proj.bias",
            Bias = new TensorSource { Inline = HostTensor.FromFloats("", delta, 32).ToMessage() },
            Tokens = new Selector { Rows = { 1 }, Positions = { 0 } },
        });
        request.Run.Captures.Add([new Selector { Hook = "blocks.1.hook_resid_mid" }, new Selector { Hook = "blocks.1.hook_resid_post" }]);

        DiffReply reply = await RunAsync(request);

        reply.Tensors[0].Floats.ToArray().ShouldAllBe(x => x == 0);
        reply.Tensors[1].Floats.ToArray().Index().Where(one => one.Item != 0).Select(one => one.Index / 32).Distinct().ShouldBe([4]);
        reply.Summary.Run.WeightEditFireCounts.ShouldBe([1]);
        reply.Summary.MeanKl.ShouldBe([0, reply.Tensors[2].Floats[4] / 2.0, 0], 1e-6);
        reply.Summary.MeanKl[1].ShouldBeGreaterThan(0);
        request.Run.WeightEdits[0].Tokens.TokenIds.Add(200);
        request.Run.WeightEdits[0].Tokens.Positions.Clear();
        (await ErrorOf(() => RunAsync(request))).Reason().ShouldBe("WEIGHT_EDIT_NOT_FIRED");
    }

    public static TheoryData<string, Action<DiffRequest>> BadRequests => new()
    {
        { "run", request => request.Run = null },
        { "run.interventions", request => request.Run.Interventions.Clear() },
        { "run.interventions[0].selector.hook", request => request.Run.Interventions[0].Selector.Hook = "nothing" },
        { "run.captures[0].hook", request => request.Run.Captures.Add(new Selector { Hook = "nothing" }) },
        { "run.input", request => request.Run.Input = null },
        { "run.encoding", request => (request.Run.DataType, request.Run.Encoding) = (DataType.Fp16, Encoding.Sparse) },
        { "divergence", request => request.Divergence = (DivergenceMode)9 },
        { "deltas", request => request.Deltas = (DeltaMode)9 },
        { "min_norm", request => request.MinNorm = float.NaN },
        { "min_norm", request => request.MinNorm = -1 },
    };

    [Theory]
    [MemberData(nameof(BadRequests))]
    public async Task Diff_BadRequest_NamesTheField(string field, Action<DiffRequest> spoil)
    {
        DiffRequest request = Scaled(2);
        spoil(request);

        (await ErrorOf(() => RunAsync(request))).Field().ShouldBe(field);
    }

    [Fact]
    public async Task Diff_AboveItsBudget_IsRefused()
    {
        DiffRequest request = Scaled(2);
        request.Divergence = DivergenceMode.LogitLens;
        request.Run.Budget = new Budget { MaxBytes = 2 * 3 * 4 * sizeof(float) };
        (await RunAsync(request)).Tensors.Count.ShouldBe(1);
        request.Run.Budget.MaxBytes--;

        (await ErrorOf(() => RunAsync(request))).Reason().ShouldBe("BYTE_BUDGET_EXCEEDED");
        lab.Host.Services.GetRequiredService<RunLimits>().HeldBytes.ShouldBe(0);
    }

    private async Task<DiffReply> RunAsync(DiffRequest request)
    {
        using AsyncServerStreamingCall<DiffResponse> call = lab.Client.Diff(request, cancellationToken: TestContext.Current.CancellationToken);
        (await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken)).ShouldBeTrue();
        RunStarted started = call.ResponseStream.Current.Started.ShouldNotBeNull();
        List<HostTensor> tensors = [];
        List<Encoding> encodings = [];
        TensorFrameReader reader = new();
        DiffSummary? summary = null;
        while (await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken))
        {
            summary.ShouldBeNull();
            summary = call.ResponseStream.Current.Summary;
            if (summary is not null) continue;
            if (call.ResponseStream.Current.Frame.Header is { } header) encodings.Add(header.Encoding);
            if (reader.Accept(call.ResponseStream.Current.Frame) is { } tensor) tensors.Add(tensor);
        }

        reader.Complete();
        tensors.Select(tensor => (tensor.Name, TensorShape.Format(tensor.Shape), (long)tensor.Data.Length))
            .ShouldBe(started.Tensors.Select(tensor => (tensor.Name, TensorShape.Format([.. tensor.Shape]), tensor.SizeBytes)));
        return new DiffReply(started, tensors, encodings, summary.ShouldNotBeNull());
    }

    private sealed record DiffReply(RunStarted Started, List<HostTensor> Tensors, List<Encoding> Encodings, DiffSummary Summary);
}
