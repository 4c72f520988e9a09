using Lab.Models.Interventions;
using Lab.Tensors;
using TorchSharp;
using static Lab.Models.Tests.Interventions.SmallModel;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Interventions;

public sealed class InvarianceTests : IDisposable
{
    private static readonly int[][] Ragged = [[3, 1, 4, 1, 5, 9, 2], [6, 5], [3, 5, 8, 9]];

    private readonly SmallModel _model = new();

    public static TheoryData<string> Hooks => [.. HookNames()];

    public void Dispose() => _model.Dispose();

    [Theory]
    [MemberData(nameof(Hooks))]
    public void Run_RaggedBatch_EqualsSingleRows(string hook)
    {
        HostTensor batched = _model.Run(Ragged, [new ActivationSelector(hook)]).Captured[0];
        bool isAttention = batched.Shape[^1] == 7;

        for (int row = 0; row < Ragged.Length; row++)
        {
            HostTensor single = _model.Run([Ragged[row]], [new ActivationSelector(hook)]).Captured[0];
            using var scope = NewDisposeScope();
            Tensor own = batched.ToTorch().narrow(0, row, 1);
            int length = Ragged[row].Length;
            Tensor valid = isAttention ? own.narrow(2, 0, length).narrow(3, 0, length) : own.narrow(1, 0, length);
            valid.ToHost(hook).ShouldBeClose(single);
            long outside = own.count_nonzero().item<long>() - valid.count_nonzero().item<long>();
            outside.ShouldBe(0);
        }
    }

    [Fact]
    public void Run_RaggedLogits_EqualSingleRows()
    {
        HostTensor batched = _model.Run(Ragged).Logits;

        for (int row = 0; row < Ragged.Length; row++)
        {
            using var scope = NewDisposeScope();
            batched.ToTorch().narrow(0, row, 1).narrow(1, 0, Ragged[row].Length).ToHost("logits").ShouldBeClose(_model.Logits([Ragged[row]]));
        }
    }

    [Theory]
    [MemberData(nameof(Hooks))]
    public void Run_Capture_ChangesNoBitOfLogits(string hook)
    {
        _model.Run(Ragged, [new ActivationSelector(hook)]).Logits.ShouldBeClose(_model.Logits(Ragged), 0);
    }

    [Fact]
    public void Run_CaptureOfScoresWithoutSink_KeepsLogitsOfFusedAttention()
    {
        using SmallModel dense = new(Config with { AttentionSink = false, ActivationFraction = 1 });

        dense.Run(Ragged, [new ActivationSelector("blocks.*.attn.hook_pattern")]).Logits.ShouldBeClose(dense.Logits(Ragged));
    }

    [Fact]
    public void Run_PartialCapture_IsASliceOfTheWhole()
    {
        string[] hooks = ["blocks.0.hook_resid_mid", "blocks.0.attn.hook_k", "blocks.1.attn.hook_pattern"];
        foreach (string hook in hooks)
        {
            bool hasHeads = hook.Contains(".attn.", StringComparison.Ordinal), isAttention = hook.EndsWith("pattern", StringComparison.Ordinal);
            ActivationSelector part = new(hook)
            {
                Rows = [2, 0],
                Positions = [-2, 1, 1],
                Heads = hasHeads ? [1] : [],
                Channels = isAttention ? [] : [7, 0],
            };

            IReadOnlyList<HostTensor> captured = _model.Run(Ragged, [part, new ActivationSelector(hook)]).Captured;

            int[] rows = [2, 0], channels = isAttention ? [0, 1, 2, 3, 4, 5, 6] : [7, 0];
            int[][] positions = [[2, 1, 1], [5, 1, 1]];
            captured[0].Shape.ShouldBe(isAttention ? [2, 1, 3, 7] : hasHeads ? [2, 3, 1, 2] : [2, 3, 2]);
            for (int row = 0; row < 2; row++)
            {
                for (int position = 0; position < 3; position++)
                {
                    for (int channel = 0; channel < channels.Length; channel++)
                    {
                        (int r, int p, int c) = (rows[row], positions[row][position], channels[channel]);
                        (float actual, float expected) = isAttention ? (captured[0].At(row, 0, position, channel), captured[1].At(r, 1, p, c))
                            : hasHeads ? (captured[0].At(row, position, 0, channel), captured[1].At(r, p, 1, c))
                            : (captured[0].At(row, position, channel), captured[1].At(r, p, c));
                        actual.ShouldBe(expected);
                    }
                }
            }
        }
    }

    [Fact]
    public void Run_CapturesOfSeveralHooks_ComeInOrderOfThePassWithPlannedShapes()
    {
        ActivationSelector[] captures = [new("blocks.*.hook_resid_post"), new("hook_embed"), new("blocks.0.hook_resid_post") { Channels = [1] }];
        ForwardPlan plan = _model.Plan(Ragged, captures);

        IReadOnlyList<HostTensor> captured = _model.Run(Ragged, captures).Captured;

        captured.Select(tensor => tensor.Name).ShouldBe(["hook_embed", "blocks.0.hook_resid_post", "blocks.0.hook_resid_post", "blocks.1.hook_resid_post"]);
        captured.Select(tensor => tensor.Shape).ShouldBe(plan.Captures.Select(selection => selection.Shape.ToArray()));
    }

    [Fact]
    public void Run_WeightThatIsNotANumber_NamesTheFirstHookThatSeesIt()
    {
        using (no_grad()) _model.Transformer.Weights.Blocks[1].Mlp.Out.Bias!.Value[3] = float.NaN;

        NonFiniteActivationException e = Should.Throw<NonFiniteActivationException>(() => _model.Run(Ragged, [new ActivationSelector("blocks.*.hook_resid_*")]));

        e.Name.ShouldBe("blocks.1.hook_resid_post");
    }

    [Fact]
    public void Run_InfiniteScoreBelowTheDiagonal_IsNoExceptionToTheRule()
    {
        Intervention overflow = At("blocks.0.attn.hook_attn_scores", new InterventionOperation.Scale(float.MaxValue));

        Should.Throw<NonFiniteActivationException>(() => _model.Run(Ragged, [new ActivationSelector("blocks.0.attn.hook_attn_scores")], overflow, overflow));
    }

    [Fact]
    public void Forward_CancelledTap_StopsThePass()
    {
        ForwardPlan plan = _model.Plan(Ragged);
        ForwardTap tap = new(new InterventionTap([], plan.Batch.Lengths), new CaptureTap([]), new CancellationToken(canceled: true));
        using var scope = NewDisposeScope();

        Should.Throw<OperationCanceledException>(() => _model.Transformer.Forward(plan.Batch.ToTensor(CPU), tap));
    }

    [Fact]
    public void Run_ManyTimes_LeavesNoTensorAlive()
    {
        Intervention[] interventions = [At("blocks.*.hook_*", new InterventionOperation.Mean()), At("blocks.*.attn.hook_pattern", new InterventionOperation.Patch(0))];
        ActivationSelector[] captures = [new("blocks.*.*") { Positions = [0, -1] }, new("blocks.*.attn.*")];
        int[][] rows = [[1, 2, 3], [4, 5, 6]];
        _model.Run(rows, captures, interventions);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        for (int i = 0; i < 20; i++) _model.Run(rows, captures, interventions);

        DisposeScopeManager.Statistics.ThreadTotalLiveCount.ShouldBe(before);
    }
}
