using Grpc.Core;
using Lab.ModelHost.Mapping;
using Lab.Models;
using Lab.Models.Interventions;
using Lab.Protos.ModelHost.V1;
using Lab.Tensors;
using static Lab.ModelHost.Tests.HostedLab;
using static TorchSharp.torch;
using Proto = Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Tests;

/// <summary>Selectors, operations and weight edits on their way from the wire to the pass.</summary>
public sealed class InterventionRunTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private const string Hook = "blocks.1.hook_resid_mid";

    private static readonly int[][] Rows = [[5, 6, 7, 8], [9, 10, 6], [11, 12, 13]];

    private static TensorSource Source(float[] values, params long[] shape) => new() { Inline = HostTensor.FromFloats("", values, shape).ToMessage() };

    private static TensorSource Ramp(params long[] shape) =>
        Source([.. Enumerable.Range(0, (int)shape.Aggregate((a, b) => a * b)).Select(i => ((i * 7) % 11 / 10f) - 0.5f)], shape);

    private static HostTensor Core(TensorSource source) => source.Inline.ToHost("");

    public static TheoryData<Proto.Intervention, InterventionOperation> Operations
    {
        get
        {
            TensorSource vector = Ramp(32), directions = Ramp(2, 32);
            return new TheoryData<Proto.Intervention, InterventionOperation>
            {
                { new Proto.Intervention { Set = new SetOperation { Value = vector } }, new InterventionOperation.Set(Core(vector)) },
                { new Proto.Intervention { Add = new AddOperation { Value = vector } }, new InterventionOperation.Add(Core(vector)) },
                { new Proto.Intervention { Add = new AddOperation { Value = vector, Coefficient = -2, Unit = Proto.StrengthUnit.ResidualNorm } }, new InterventionOperation.Add(Core(vector), -2, Lab.Models.Interventions.StrengthUnit.ResidualNorm) },
                { new Proto.Intervention { Scale = new ScaleOperation { Factor = 0.5f } }, new InterventionOperation.Scale(0.5f) },
                { new Proto.Intervention { Zero = new ZeroOperation() }, new InterventionOperation.Zero() },
                { new Proto.Intervention { Mean = new MeanOperation() }, new InterventionOperation.Mean() },
                { new Proto.Intervention { Mean = new MeanOperation { Value = vector } }, new InterventionOperation.Mean(Core(vector)) },
                { new Proto.Intervention { Patch = new PatchOperation { SourceRow = 0 } }, new InterventionOperation.Patch(0) },
                { new Proto.Intervention { Clamp = new ClampOperation { Min = 0 } }, new InterventionOperation.Clamp(0, null) },
                { new Proto.Intervention { Clamp = new ClampOperation { Min = -0.25f, Max = 0.5f } }, new InterventionOperation.Clamp(-0.25f, 0.5f) },
                { new Proto.Intervention { Noise = new NoiseOperation { Std = 0.5f, Seed = 7 } }, new InterventionOperation.Noise(0.5f, 7) },
                { new Proto.Intervention { Noise = new NoiseOperation { Std = 0.5f, Seed = 7, Unit = Proto.StrengthUnit.ResidualNorm } }, new InterventionOperation.Noise(0.5f, 7, Lab.Models.Interventions.StrengthUnit.ResidualNorm) },
                { new Proto.Intervention { ProjectOut = new ProjectOutOperation { Directions = directions } }, new InterventionOperation.ProjectOut(Core(directions)) },
                { new Proto.Intervention { ProjectOnto = new ProjectOntoOperation { Directions = directions } }, new InterventionOperation.ProjectOnto(Core(directions)) },
                { new Proto.Intervention { SwapSubspace = new SwapSubspaceOperation { Directions = directions, SourceRow = 0 } }, new InterventionOperation.SwapSubspace(Core(directions), 0) },
                { new Proto.Intervention { Freeze = new FreezeOperation() }, new InterventionOperation.Freeze() },
            };
        }
    }

    [Theory]
    [MemberData(nameof(Operations))]
    public async Task Run_Operation_EqualsTheCores(Proto.Intervention intervention, InterventionOperation operation)
    {
        RunRequest request = Request(Rows);
        Proto.Intervention steer = new() { Selector = new Selector { Hook = "hook_embed" }, Scale = new ScaleOperation { Factor = 2 } };
        intervention.Selector = new Selector { Hook = Hook, Rows = { 1, 2 }, PositionRanges = { new Proto.IndexRange { First = 0, Last = 1 } } };
        request.Interventions.Add([steer, intervention]);
        request.Captures.Add(new Selector { Hook = "blocks.1.hook_resid_post", Rows = { 1 } });

        RunReply reply = await lab.RunAsync(request);

        using Transformer model = NewModel();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        ForwardPlan plan = ForwardPlan.Resolve(
            model.Hooks,
            new TokenBatch(Config, Rows),
            [new ActivationSelector("blocks.1.hook_resid_post") { Rows = [1] }],
            [
                new(new ActivationSelector("hook_embed"), new InterventionOperation.Scale(2)),
                new(new ActivationSelector(Hook) { Rows = [1, 2], PositionRanges = [new Lab.Models.Interventions.IndexRange(0, 1)] }, operation),
            ]);
        using InterventionTap tap = new(plan.Interventions, plan.Batch.Lengths, hasTwin: plan.NeedsTwin);
        CaptureTap captures = new(plan.Captures, hasTwin: plan.NeedsTwin);
        model.Forward((plan.NeedsTwin ? plan.Batch.Twice() : plan.Batch).ToTensor(CPU), new ForwardTap(tap, captures, CancellationToken.None));
        reply.Tensors.ShouldBe(captures.Tensors);
        reply.Summary.FireCounts.ShouldBe([1, 1]);
    }

    [Fact]
    public async Task Run_Skip_GivesWhatTheBlockReads()
    {
        RunRequest request = Request(Rows);
        request.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = "blocks.0.hook_resid_post" }, Skip = new SkipOperation() });
        request.Captures.Add(new Selector { Hooks = { "blocks.0.hook_resid_pre", "blocks.1.hook_resid_pre" } });

        RunReply reply = await lab.RunAsync(request);

        reply.Tensors[1].Floats.ToArray().ShouldBe(reply.Tensors[0].Floats.ToArray());
    }

    [Fact]
    public async Task Run_SelectorsOfTokensAndLayers_TellWhichPositionsTheyHold()
    {
        RunRequest request = Request(Rows);
        request.Captures.Add(new Selector { Hook = "hook_embed" });
        request.Captures.Add(new Selector { Hook = "blocks.*.hook_resid_pre", Layers = new Proto.IndexRange { First = 1 }, TokenIds = { 6, 11 }, PositionRanges = { new Proto.IndexRange { First = -1 } } });

        RunReply reply = await lab.RunAsync(request);

        PlannedTensor planned = reply.Started.Tensors[1];
        planned.Name.ShouldBe("blocks.1.hook_resid_pre");
        planned.Capture.ShouldBe(1);
        planned.Shape.ShouldBe([3, 2, 32]);
        planned.Positions.Select(row => (row.Row, string.Join(',', row.Positions))).ShouldBe([(0, "1,3"), (1, "2"), (2, "0,2")]);
        reply.Started.Tensors[0].Positions.ShouldBeEmpty();
    }

    [Fact]
    public async Task Run_TextSelector_FindsItsTokens()
    {
        RunRequest request = new() { Model = ModelName, Input = new Input { Texts = new Texts { Texts_ = { "the cat sat on the mat" } } } };
        request.Captures.Add(new Selector { Hook = "hook_embed", Texts = { new TextSpan { Text = "cat" } } });
        request.Captures.Add(new Selector { Hook = "hook_embed", From = new Start { Text = new TextSpan { Text = "the", Occurrence = 1 } } });

        RunReply reply = await lab.RunAsync(request);

        TokenizedRow row = reply.Started.Rows[0];
        int[] Overlapping(int first, int last) => [.. Enumerable.Range(0, row.Ids.Count).Where(i => row.CharStarts[i] < last && row.CharEnds[i] > first)];
        reply.Started.Tensors[0].Positions.Single().Positions.ShouldBe(Overlapping(4, 7));
        reply.Started.Tensors[1].Positions.Single().Positions.ShouldBe(Overlapping(15, 22));
    }

    [Fact]
    public async Task Run_WeightEdits_ChangeThisRequestOnly()
    {
        const string Parameter = "transformer.h.1.mlp.c_proj.weight";
        TensorSource b = Ramp(32, 2), a = Ramp(2, 48), bias = Ramp(32);
        RunRequest plain = Request(Rows), edited = Request(Rows);
        plain.Logits = edited.Logits = LogitsMode.Last;
        edited.WeightEdits.Add(new Proto.WeightEdit { Parameter = Parameter, LowRank = new Proto.LowRankDelta { B = b, A = a }, Coefficient = 0.5f });
        edited.WeightEdits.Add(new Proto.WeightEdit { Parameter = "transformer.ln_f.weight", Bias = bias, Tokens = new Selector { Rows = { 0 }, TokenIds = { 8 } } });
        HostTensor before = (await lab.RunAsync(plain)).Tensors[0];

        RunReply reply = await lab.RunAsync(edited);

        reply.Summary.WeightEditFireCounts.ShouldBe([10, 1]);
        reply.Started.WeightEditHashes.ShouldBe(edited.WeightEdits.Select(edit => edit.Hash()));
        (await lab.RunAsync(plain)).Tensors[0].ShouldBe(before);
        using Transformer model = NewModel();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        model.Weights.Blocks[1].Mlp.Out.Weight.Value.add_(Core(b).ToTorch().matmul(Core(a).ToTorch()) * 0.5);
        Tensor expected = Last(model);
        model.Weights.LnFinal.Gain.Value.add_(Core(bias).ToTorch());
        expected[0] = Last(model)[0];
        (reply.Tensors[0].ToTorch() - expected).abs().max().item<float>().ShouldBeLessThan(1e-4f);

        static Tensor Last(Transformer model)
        {
            TokenBatch batch = new(Config, Rows);
            return model.Forward(new ForwardInput(batch.ToTensor(CPU)) { Logits = new LogitSelection([3, 6, 10]) })!;
        }
    }

    [Fact]
    public async Task Run_WeightEditThatAppliesToNoToken_FailsUnlessAllowed()
    {
        RunRequest request = Request(Rows);
        request.WeightEdits.Add(new Proto.WeightEdit { Parameter = "transformer.ln_f.weight", Bias = Ramp(32), Tokens = new Selector { TokenIds = { 1 } } });

        RpcException e = await CallErrors.ErrorOf(() => lab.RunAsync(request));

        e.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        e.Reason().ShouldBe("WEIGHT_EDIT_NOT_FIRED");
        request.WeightEdits[0].AllowUnfired = true;
        (await lab.RunAsync(request)).Summary.WeightEditFireCounts.ShouldBe([0]);
    }

    public static TheoryData<Action<RunRequest>, string> BadRequests => new()
    {
        { request => request.WeightEdits.Add(new Proto.WeightEdit { Parameter = "nowhere", Bias = Ramp(1) }), "weight_edits[0].parameter" },
        { request => request.WeightEdits.Add(new Proto.WeightEdit { Parameter = "transformer.ln_f.weight" }), "weight_edits[0]" },
        { request => request.WeightEdits.Add(new Proto.WeightEdit { Parameter = "transformer.ln_f.weight", Bias = new TensorSource() }), "weight_edits[0].bias" },
        { request => request.WeightEdits.Add(new Proto.WeightEdit { Parameter = "transformer.h.0.mlp.c_fc.weight", LowRank = new Proto.LowRankDelta { B = Ramp(48, 1) } }), "weight_edits[0].low_rank.a" },
        { request => request.Captures.Add(new Selector { Hook = Hook, From = new Start() }), "captures[0].from" },
        { request => request.Captures.Add(new Selector { Hook = Hook, Phase = (Phase)9 }), "captures[0].phase" },
        { request => request.Captures.Add(new Selector { Hook = Hook, Texts = { new TextSpan { Text = "absent" } } }), "captures[0].texts[0]" },
        { request => request.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = Hook }, Noise = new NoiseOperation { Unit = (Proto.StrengthUnit)9 } }), "interventions[0].noise.unit" },
        { request => request.Interventions.Add(new Proto.Intervention { Selector = new Selector { Hook = Hook }, ProjectOut = new ProjectOutOperation() }), "interventions[0].project_out.directions" },
    };

    [Theory]
    [MemberData(nameof(BadRequests))]
    public async Task Run_WhatDoesNotFit_NamesTheField(Action<RunRequest> spoil, string field)
    {
        RunRequest request = Request(Rows);
        spoil(request);

        (await CallErrors.ErrorOf(() => lab.RunAsync(request))).Field().ShouldBe(field);
    }
}
