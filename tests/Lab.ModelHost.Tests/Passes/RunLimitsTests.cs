using Lab.ModelHost.Passes;
using Lab.ModelHost.Scheduling;
using Lab.Models;
using Lab.Models.Interventions;
using Lab.ServiceDefaults.Errors;
using Microsoft.Extensions.Options;

namespace Lab.ModelHost.Tests.Passes;

/// <summary>Sizes of passes, and who holds how much.</summary>
public sealed class RunLimitsTests : IDisposable
{
    // Its largest tensor without attention scores is [tokens, 264]; with them it is [tokens, 2, 601].
    private static readonly TransformerConfig Plain = HostedLab.Config with { NCtx = 600 };
    private static readonly TransformerConfig Capped = Plain with { AttentionSoftCap = 30 };

    private readonly Transformer _model = HostedLab.NewModel();

    public void Dispose() => _model.Dispose();

    [Fact]
    public void RequireSize_CappedAttention_CountsItsScores()
    {
        const int tokens = 2 * 600;
        ForwardPlan plan = ForwardPlan.Resolve(_model.Hooks, new TokenBatch(Plain, [new int[600], new int[600]]), [], []);
        long plain = tokens * 264L * sizeof(float), scores = tokens * 2 * 601L * sizeof(float);

        Limits(plain).RequireSize(Plain, plan);
        Limits(scores).RequireSize(Capped, plan);
        Should.Throw<ResourceExhaustedException>(() => Limits(scores - 1).RequireSize(Capped, plan)).Reason.ShouldBe("BATCH_TOO_LARGE");
    }

    [Fact]
    public void Choose_CappedAttention_PutsNoMoreTogetherThanItsScoresAllow()
    {
        ModelHostOptions options = new() { MaxIntermediateBytes = 3 * 600 * 2 * 601L * sizeof(float), MaxBatchTokens = 100_000 };
        Waiting[] waiting = [.. Enumerable.Range(0, 5).Select(_ => new Waiting(600))];

        new BatchRules(Plain, options).Choose(waiting).Count.ShouldBe(5);
        new BatchRules(Capped, options).Choose(waiting).Count.ShouldBe(3);
    }

    [Fact]
    public void Resize_MoreThanOthersLeave_IsRefusedAndKeepsWhatItHeld()
    {
        RunLimits limits = Limits(1, held: 100);
        using IDisposable other = limits.Hold(60);
        using RunLimits.Holding holding = limits.HoldAsNeeded();

        holding.Resize(40);
        Should.Throw<ResourceExhaustedException>(() => holding.Resize(41)).RetryAfter.ShouldNotBeNull();
        limits.HeldBytes.ShouldBe(100);
        holding.Resize(10);
        limits.HeldBytes.ShouldBe(70);
        holding.Dispose();
        limits.HeldBytes.ShouldBe(60);
    }

    private static RunLimits Limits(long intermediate, long held = 1 << 20) =>
        new(Options.Create(new ModelHostOptions { MaxIntermediateBytes = intermediate, MaxHeldBytes = held }));

    private sealed class Waiting(int length) : ModelWork(WorkPriority.Normal, CancellationToken.None)
    {
        public override PassShape Shape { get; } = new(PassKind.Run, 1, length);

        public override bool End(Exception? failure, TimeSpan elapsed) => throw new NotSupportedException();

        public override void Abandon(Exception reason) => throw new NotSupportedException();

        public override void Dispose()
        {
        }
    }
}
