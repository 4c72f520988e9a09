using Grpc.Core;
using Lab.Models;
using Lab.Models.Gradients;
using Lab.Models.Interventions;
using Lab.Protos.ModelHost.V1;
using Lab.Protos.Tensor.V1;
using Lab.Tensors;
using static Lab.ModelHost.Tests.CallErrors;
using static Lab.ModelHost.Tests.Gradients.GradientLab;
using GradientTarget = Lab.Protos.ModelHost.V1.GradientTarget;
using Intervention = Lab.Protos.ModelHost.V1.Intervention;
using LogitPair = Lab.Protos.ModelHost.V1.LogitPair;
using Reduction = Lab.Protos.ModelHost.V1.Reduction;
using UpstreamGradient = Lab.Protos.ModelHost.V1.UpstreamGradient;

namespace Lab.ModelHost.Tests.Gradients;

public sealed class GradientsTests(HostedLab lab) : IClassFixture<HostedLab>
{
    private static readonly int[][] _rows = [[5, 6, 7, 8], [9, 10], [11, 12, 13]];

    [Fact]
    public async Task Gradients_HooksAndParameters_AreThoseOfTheCore()
    {
        GradientsRequest request = Request(_rows);
        request.Captures.Add(new Selector { Hook = "blocks.1.hook_mlp_out" });
        request.Targets.Add([At("blocks.*.hook_resid_mid"), new GradientTarget { Parameter = "lm_head.weight" }, new GradientTarget { Activation = new Selector { Hook = "1.attn.v", Heads = { 1 }, Positions = { 0 } } }]);

        GradientReply reply = await lab.RunAsync(request);

        using Transformer model = HostedLab.NewModel();
        GradientPlan plan = GradientPlan.Resolve(
            model.Hooks,
            model.Config,
            model.Weights.All.ToDictionary(parameter => parameter.Name, parameter => (IReadOnlyList<long>)parameter.Value.shape),
            ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, _rows), [new ActivationSelector("blocks.1.hook_mlp_out")], []),
            new GradientObjective.CrossEntropy([], Models.Gradients.Reduction.Mean),
            [
                new Models.Gradients.GradientTarget.Activation(new ActivationSelector("blocks.*.hook_resid_mid")),
                new Models.Gradients.GradientTarget.Parameter("lm_head.weight"),
                new Models.Gradients.GradientTarget.Activation(new ActivationSelector("1.attn.v") { Heads = [1], Positions = [0] }),
            ]);
        List<HostTensor> expected = [];
        GradientResult result = GradientPass.Run(model, plan, TensorDataType.Float32, expected.Add, TestContext.Current.CancellationToken);
        reply.Tensors.ShouldBe(expected);
        reply.Summary.Objectives.ShouldBe(result.Objectives);
        reply.Summary.ZeroTensors.ShouldBeEmpty();
        reply.Started.Tensors.Select(tensor => tensor.HasTarget ? tensor.Target : -1).ShouldBe([-1, 0, 0, 1, 2]);
        reply.Started.Rows.Select(row => row.Ids.ToArray()).ShouldBe(_rows);
        reply.Summary.Run.ComputeMs.ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task Gradients_Attribution_AgreesWithSmallInterventionsToFirstOrder()
    {
        await lab.LoadSmoothAsync();
        Selector place = new() { Hook = "blocks.0.hook_resid_post", Rows = { 1 }, Positions = { -2 } };
        int[][] rows = [[5, 6, 7, 8], [9, 10, 11, 12, 13]];
        GradientsRequest request = Request(rows);
        request.Model = SmoothName;
        request.Objective = new Objective { LogitDifference = new LogitDifferenceObjective { Pairs = { new LogitPair { Row = 1, TokenA = 3, TokenB = 4 } } } };
        request.Targets.Add(new GradientTarget { Activation = place });

        GradientReply reply = await lab.RunAsync(request);

        // Along the gradient itself, in steps of the unit of length.
        double slope = Math.Sqrt(reply.Tensors[0].Floats.ToArray().Sum(x => (double)x * x));
        float[] direction = [.. reply.Tensors[0].Floats.ToArray().Select(x => (float)(x / slope))];
        double clean = await DifferenceAsync(0);
        reply.Summary.Objectives.ShouldBe([0, clean], 1e-5);
        double[] errors = [await ErrorAsync(0.4f), await ErrorAsync(0.2f), await ErrorAsync(0.1f)];
        errors[0].ShouldBeInRange(3 * errors[1], 5 * errors[1]);
        errors[1].ShouldBeInRange(3 * errors[2], 5 * errors[2]);
        errors[2].ShouldBeLessThan(0.1 * Math.Abs(slope * 0.1));

        async Task<double> ErrorAsync(float step) => Math.Abs((await DifferenceAsync(step)) - clean - (slope * step));

        async Task<double> DifferenceAsync(float step)
        {
            RunRequest run = HostedLab.Request(rows);
            run.Model = SmoothName;
            run.Logits = LogitsMode.Last;
            run.Interventions.Add(new Intervention { Selector = place, Add = new AddOperation { Value = Inline(direction, 32), Coefficient = step } });
            HostTensor logits = (await lab.RunAsync(run)).Tensors.ShouldHaveSingleItem();
            int vocabulary = (int)logits.Shape[1];
            return logits.Floats[vocabulary + 3] - logits.Floats[vocabulary + 4];
        }
    }

    [Fact]
    public async Task Gradients_UpstreamFromAClient_IsTheChainRule()
    {
        // What a client does that puts a loss of its own behind the model: gradients at the logits go back through the model.
        GradientsRequest whole = Request([5, 6, 7, 8]);
        whole.Targets.Add([At("unembed.hook_out"), At("hook_embed")]);
        GradientReply expected = await lab.RunAsync(whole);
        GradientsRequest chained = Request([5, 6, 7, 8]);
        chained.Objective = new Objective
        {
            Upstream = new UpstreamObjective
            {
                Gradients = { new UpstreamGradient { Selector = new Selector { Hook = "logits" }, Gradient = new TensorSource { Inline = expected["grad/unembed.hook_out"].ToMessage() } } },
            },
        };
        chained.Targets.Add(At("hook_embed"));

        GradientReply actual = await lab.RunAsync(chained);

        for (int i = 0; i < 4 * 32; i++) actual.Tensors[0].Floats[i].ShouldBe(expected["grad/hook_embed"].Floats[i], 1e-6f);
    }

    [Fact]
    public async Task Gradients_SteeringVector_GoesDownItsOwnGradient()
    {
        await lab.LoadSmoothAsync();
        GradientsRequest request = Request([5, 6, 7, 8], [9, 10, 11]);
        request.Model = SmoothName;
        request.Interventions.Add(new Intervention { Selector = new Selector { Hook = "blocks.0.hook_resid_post" }, Add = new AddOperation { Value = Inline(new float[32], 32), Coefficient = 2 } });
        request.Targets.Add([new GradientTarget { Operand = 0 }, At("blocks.0.hook_resid_post")]);

        GradientReply reply = await lab.RunAsync(request);

        reply.Tensors.Select(tensor => tensor.Name).ShouldBe(["grad/interventions[0]", "grad/blocks.0.hook_resid_post"]);
        float[] gradient = reply.Tensors[0].Floats.ToArray(), activations = reply.Tensors[1].Floats.ToArray();
        for (int channel = 0; channel < 32; channel++) gradient[channel].ShouldBe(2 * Enumerable.Range(0, 8).Sum(token => activations[(token * 32) + channel]), 1e-5f);
        request.Interventions[0].Add.Value = Inline([.. gradient.Select(x => -0.1f * x)], 32);
        (await lab.RunAsync(request)).Summary.Objectives.Sum().ShouldBeLessThan(reply.Summary.Objectives.Sum() - (0.05 * gradient.Sum(x => x * x)));
    }

    [Fact]
    public async Task Gradients_KlToClean_IsZeroUntilSomethingIsChanged()
    {
        GradientsRequest request = Request(_rows);
        request.Objective = new Objective { KlToClean = new KlToCleanObjective { Positions = { -1 }, Reduction = Reduction.Sum } };
        request.Targets.Add(At("blocks.1.hook_resid_pre"));

        GradientReply clean = await lab.RunAsync(request);
        request.Interventions.Add(new Intervention { Selector = new Selector { Hook = "blocks.1.hook_resid_pre", Rows = { 0 } }, Scale = new ScaleOperation { Factor = 2 } });
        GradientReply changed = await lab.RunAsync(request);

        clean.Summary.Objectives.ShouldAllBe(value => Math.Abs(value) < 1e-5);
        clean.Tensors[0].Floats.ToArray().ShouldAllBe(x => Math.Abs(x) < 1e-5);
        changed.Summary.Objectives[0].ShouldBeGreaterThan(0.01);
        changed.Summary.Objectives.Skip(1).ShouldAllBe(value => Math.Abs(value) < 1e-5);
        changed.Summary.Run.FireCounts.ShouldBe([1]);
        changed.Started.InterventionHashes.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Gradients_WhatIsReplacedLater_IsListedAsZero()
    {
        GradientsRequest request = Request(_rows);
        request.Captures.Add(new Selector { Hook = "hook_embed" });
        request.Targets.Add([At("hook_embed"), At("blocks.1.hook_resid_post")]);
        request.Interventions.Add(new Intervention { Selector = new Selector { Hook = "blocks.0.hook_resid_post" }, Zero = new ZeroOperation() });

        GradientReply reply = await lab.RunAsync(request);

        reply.Summary.ZeroTensors.ShouldBe([1]);
        reply.Tensors[1].Floats.ToArray().ShouldAllBe(x => x == 0);
    }

    [Fact]
    public async Task Gradients_Encoded_AreRestored()
    {
        GradientsRequest request = Request(_rows);
        request.Targets.Add(At("blocks.0.mlp.hook_post"));
        HostTensor raw = (await lab.RunAsync(request)).Tensors[0];
        request.Encoding = Encoding.Sparse;

        HostTensor sparse = (await lab.RunAsync(request)).Tensors[0];

        sparse.Floats.ToArray().ShouldBe(raw.Floats.ToArray());
    }

    public static TheoryData<string, Action<GradientsRequest>> BadRequests => new()
    {
        { "objective", request => request.Objective = null },
        { "objective", request => request.Objective = new Objective() },
        { "objective.cross_entropy.reduction", request => request.Objective.CrossEntropy.Reduction = (Reduction)7 },
        { "objective.cross_entropy.targets[0].token", request => request.Objective.CrossEntropy.Targets.Add(new Protos.ModelHost.V1.TokenTarget { Token = -1 }) },
        { "objective.upstream.gradients[0].selector", request => request.Objective = new Objective { Upstream = new UpstreamObjective { Gradients = { new UpstreamGradient() } } } },
        {
            "objective.upstream.gradients[0].gradient", request => request.Objective = new Objective
            {
                Upstream = new UpstreamObjective { Gradients = { new UpstreamGradient { Selector = new Selector { Hook = "hook_embed" }, Gradient = Inline([1], 1) } } },
            }
        },
        { "targets", request => request.Targets.Clear() },
        { "targets[1]", request => request.Targets.Add(new GradientTarget()) },
        { "targets[1].activation.heads", request => request.Targets.Add(new GradientTarget { Activation = new Selector { Hook = "hook_embed", Heads = { 0 } } }) },
        { "targets[1].operand", request => request.Targets.Add(new GradientTarget { Operand = 0 }) },
        { "targets[1].parameter", request => request.Targets.Add(new GradientTarget { Parameter = "nothing" }) },
        { "captures[0].hook", request => request.Captures.Add(new Selector { Hook = "nothing" }) },
        { "input.tokens.rows[0]", request => request.Input.Tokens.Rows[0].Ids.Clear() },
        { "encoding", request => (request.DataType, request.Encoding) = (DataType.Bf16, Encoding.Sparse) },
    };

    [Theory]
    [MemberData(nameof(BadRequests))]
    public async Task Gradients_BadRequest_NamesTheField(string field, Action<GradientsRequest> spoil)
    {
        GradientsRequest request = Request([1, 2, 3]);
        request.Targets.Add(At("hook_embed"));
        spoil(request);

        (await ErrorOf(() => lab.RunAsync(request))).Field().ShouldBe(field);
    }

    [Fact]
    public async Task Gradients_MoreBytesThanTheBudget_AreRefused()
    {
        GradientsRequest request = Request([1, 2, 3]);
        request.Targets.Add(At("hook_embed"));
        request.Budget = new Budget { MaxBytes = 3 * 32 * sizeof(float) };
        (await lab.RunAsync(request)).Tensors.Count.ShouldBe(1);
        request.Budget.MaxBytes--;

        (await ErrorOf(() => lab.RunAsync(request))).Reason().ShouldBe("BYTE_BUDGET_EXCEEDED");
    }

    [Fact]
    public async Task Gradients_NumberThatIsNotFinite_IsRefused()
    {
        GradientsRequest request = Request([1, 2, 3]);
        request.Targets.Add(At("hook_embed"));
        Intervention large = new() { Selector = new Selector { Hook = "unembed.hook_in" }, Scale = new ScaleOperation { Factor = 1e38f } };
        request.Interventions.Add([large, large]);

        (await ErrorOf(() => lab.RunAsync(request))).Reason().ShouldBe("NON_FINITE");
    }
}
