using Lab.Models.Batching;
using Lab.Models.Interventions;
using Lab.Models.Tests.Interventions;
using Lab.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Batching;

public sealed class CoBatchTests
{
    public static TheoryData<int> Seeds => [.. Enumerable.Range(0, 16)];

    /// <summary>Those at which a change keeps a request out of co-batches, and scores, which are minus infinity outside of windows.</summary>
    private static readonly string[] Excluded = ["hook_attn_in", "hook_q_input", "hook_k_input", "hook_v_input", "hook_result", "hook_attn_scores"];

    /// <summary>A request: rows, what to change and capture, and which logits.</summary>
    private sealed record Request(int[][] Rows, ActivationSelector[] Captures, Intervention[] Interventions, long[]? Tokens)
    {
        public static Request Random(Random random, Transformer model)
        {
            int[][] rows = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => RandomModel.Row(random, model.Config, random.Next(1, 9)))];
            string Hook() => model.Hooks.All[random.Next(model.Hooks.All.Count)].Name;
            string SharedHook() => Enumerable.Range(0, int.MaxValue).Select(_ => Hook()).First(hook => !Excluded.Any(hook.EndsWith));
            ActivationSelector[] captures = random.Next(3) == 0 ? [] : [new("blocks.*.*"), new(SharedHook()), new("blocks.*.attn.hook_pattern"), new("unembed.hook_out")];
            Intervention[] interventions = [.. Enumerable.Range(0, random.Next(4)).Select(_ => new Intervention(
                new ActivationSelector(SharedHook()) { Positions = random.Next(2) == 0 ? [-1] : [] },
                random.Next(2) == 0
                    ? new InterventionOperation.Scale(0.5f + (float)random.NextDouble())
                    : new InterventionOperation.Add(HostTensor.FromFloats("", [(float)random.NextDouble()]))))];
            int tokens = rows.Length * rows.Max(row => row.Length);
            long[]? wanted = random.Next(3) switch { 0 => null, 1 => [], _ => [tokens - 1, 0] };
            return new Request(rows, captures, interventions, wanted);
        }

        public (PassMember Member, CaptureTap Captured) Begin(Transformer model)
        {
            ForwardPlan plan = ForwardPlan.Resolve(model.Hooks, new TokenBatch(model.Config, Rows), Captures, Interventions);
            CaptureTap captured = new(plan.Captures);
            return (new PassMember(Rows)
            {
                Tap = Captures.Length + Interventions.Length == 0 ? null : new ForwardTap(new InterventionTap(plan.Interventions, plan.Batch.Lengths), captured, CancellationToken.None),
                Logits = new LogitSelection(Tokens),
            }, captured);
        }
    }

    private static (HostTensor?[] Logits, IReadOnlyList<HostTensor>[] Captured, PassMember[] Members) Run(Transformer model, params Request[] requests)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        (PassMember Member, CaptureTap Captured)[] begun = [.. requests.Select(request => request.Begin(model))];
        IReadOnlyList<Tensor?> logits = CoBatch.Forward(model, [.. begun.Select(one => one.Member)]);
        return ([.. logits.Select(one => one?.ToHost("logits"))], [.. begun.Select(one => one.Captured.Tensors)], [.. begun.Select(one => one.Member)]);
    }

    private static void ShouldEqual(HostTensor? actual, HostTensor? expected)
    {
        (actual is null).ShouldBe(expected is null);
        if (actual is null || expected is null) return;
        actual.Shape.ShouldBe(expected.Shape);
        for (int i = 0; i < actual.ElementCount; i++)
        {
            (float a, float e) = (actual.Floats[i], expected.Floats[i]);
            bool isClose = a.Equals(e) || Math.Abs(a - e) <= 1e-5 * (1 + Math.Abs(e));
            if (!isClose) throw new ShouldAssertException($"{actual.Name}, element {i}: {a} and {e}");
        }
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Forward_MembersOfDifferentRequests_GiveWhatEachGivesAlone(int seed)
    {
        Random random = new(seed);
        using Transformer model = RandomModel.Of(random);
        Request[] requests = [.. Enumerable.Range(0, random.Next(2, 6)).Select(_ => Request.Random(random, model))];

        var together = Run(model, requests);

        for (int i = 0; i < requests.Length; i++)
        {
            together.Members[i].Failure.ShouldBeNull();
            var alone = Run(model, requests[i]);
            ShouldEqual(together.Logits[i], alone.Logits[0]);
            together.Captured[i].Count.ShouldBe(alone.Captured[0].Count);
            foreach ((HostTensor actual, HostTensor expected) in together.Captured[i].Zip(alone.Captured[0]))
            {
                actual.Name.ShouldBe(expected.Name);
                ShouldEqual(actual, expected);
            }
        }
    }

    private static readonly Request Plain = new([[1, 2, 3], [4, 5]], [new("blocks.*.hook_resid_post")], [], null);

    /// <summary>Overflows in the first layer: all that follows is not a number.</summary>
    private static Request Broken(params ActivationSelector[] captures)
    {
        Intervention large = new(new ActivationSelector("blocks.0.hook_resid_post"), new InterventionOperation.Scale(1e38f));
        return new Request([[9, 8, 7, 6, 5]], captures, [large, large], null);
    }

    [Fact]
    public void Forward_MemberWithoutNumbers_ReachesNoOther()
    {
        using SmallModel small = new();

        var together = Run(small.Transformer, Broken(), Plain, Broken());

        together.Logits[0]!.Floats.ToArray().ShouldContain(float.NaN);
        var alone = Run(small.Transformer, Plain);
        ShouldEqual(together.Logits[1], alone.Logits[0]);
        foreach ((HostTensor actual, HostTensor expected) in together.Captured[1].Zip(alone.Captured[0])) ShouldEqual(actual, expected);
    }

    [Fact]
    public void Forward_MemberThatFails_IsTakenOutAndTheOthersGoOn()
    {
        using SmallModel small = new();

        var together = Run(small.Transformer, Plain, Broken(new ActivationSelector("blocks.*.hook_resid_post")));

        together.Members[1].Failure.ShouldBeOfType<NonFiniteActivationException>().Name.ShouldBe("blocks.0.hook_resid_post");
        together.Logits[1].ShouldBeNull();
        together.Members[0].Failure.ShouldBeNull();
        ShouldEqual(together.Logits[0], Run(small.Transformer, Plain).Logits[0]);
    }

    [Fact]
    public void Forward_CancelledMember_EndsThePassOnlyWithTheLastOne()
    {
        using SmallModel small = new();
        using var scope = NewDisposeScope();
        using CancellationTokenSource cancelled = new();
        int hooks = 0;
        PassMember first = new([[1, 2]]) { Check = () => { if (++hooks >= 20) cancelled.Cancel(); cancelled.Token.ThrowIfCancellationRequested(); } };
        PassMember second = new([[3]]) { Check = () => hooks++ };

        IReadOnlyList<Tensor?> logits = CoBatch.Forward(small.Transformer, [first, second]);

        first.Failure.ShouldBeAssignableTo<OperationCanceledException>().ShouldNotBeNull();
        second.Failure.ShouldBeNull();
        (logits[0] is null, logits[1] is null).ShouldBe((true, false));
        int all = hooks;

        hooks = 0;
        PassMember third = new([[3]]) { Check = () => { hooks++; if (first.Failure is not null) cancelled.Token.ThrowIfCancellationRequested(); } };
        CoBatch.Forward(small.Transformer, [new PassMember([[1, 2]]) { Check = cancelled.Token.ThrowIfCancellationRequested }, third]);
        third.Failure.ShouldNotBeNull();
        hooks.ShouldBeLessThan(all / 4);
    }

    [Theory]
    [InlineData("blocks.0.hook_q_input", false, false)]
    [InlineData("blocks.1.attn.hook_result", false, false)]
    [InlineData("blocks.0.attn.hook_pattern", true, true)]
    [InlineData("blocks.0.hook_resid_pre", true, false)]
    public void CanShare_ChangeAtAHook_FollowsFromWhatThePassComputesThen(string hook, bool canShare, bool needsScores)
    {
        using SmallModel small = new();
        ForwardPlan plan = small.Plan([[1, 2]], [], new Intervention(new ActivationSelector(hook), new InterventionOperation.Zero()));

        CoBatch.CanShare(plan).ShouldBe(canShare);
        CoBatch.NeedsScores(plan).ShouldBe(needsScores);
    }

    [Fact]
    public void Forward_OneMember_GetsTheModelsOwnTensors()
    {
        using SmallModel small = new();
        using var scope = NewDisposeScope();
        RecordingWants tap = new();

        CoBatch.Forward(small.Transformer, [new PassMember([[1, 2, 3]]) { Tap = tap }])[0]!.shape.ShouldBe([1, 3, SmallModel.Config.DVocab]);

        tap.Shapes.ShouldAllBe(shape => shape[0] == 1);
        tap.Shapes.Count.ShouldBe(small.Transformer.Hooks.All.Count);
    }

    [Fact]
    public void Forward_ManyTimes_LeavesNoTensorAlive()
    {
        using SmallModel small = new();
        Run(small.Transformer, Plain, Broken(new ActivationSelector("blocks.1.hook_resid_mid")), Plain);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;

        for (int i = 0; i < 10; i++) Run(small.Transformer, Plain, Broken(new ActivationSelector("blocks.1.hook_resid_mid")), Plain);

        DisposeScopeManager.Statistics.ThreadTotalLiveCount.ShouldBe(before);
    }

    private sealed class RecordingWants : IActivationTap
    {
        public List<long[]> Shapes { get; } = [];

        public bool Wants(HookPoint hook) => true;

        public Tensor At(HookPoint hook, Tensor x)
        {
            Shapes.Add(x.shape);
            return x;
        }
    }
}
