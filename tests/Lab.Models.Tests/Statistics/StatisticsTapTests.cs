using Lab.Models.Interventions;
using Lab.Models.Statistics;
using Lab.Models.Tests.Interventions;
using Lab.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Tests.Statistics;

public sealed class StatisticsTapTests
{
    private static readonly int[][] _rows = [[1, 2, 3, 4, 5, 6, 7], [8, 9, 0], [3, 3, 3, 3, 3]];

    [Fact]
    public void Pass_AnyHook_GivesTheStatisticsOfWhatIsCaptured()
    {
        using SmallModel model = new();
        foreach (HookPoint hook in model.Transformer.Hooks.All.Where(hook => !hook.Dimensions.Contains(HookDimension.KeyPos)))
        {
            ActivationSelector selector = new(hook.Name);
            ActivationStatistics actual = Collect(model, selector)[hook.Name];
            HostTensor captured = model.Run(_rows, [selector]).Captured.Single();
            ActivationStatistics expected = new(hook.Name, [.. captured.Shape.Skip(2)], StatisticsData.AllOptions);
            int width = expected.Channels;
            for (int row = 0; row < _rows.Length; row++)
            {
                expected.Add(
                    captured.Floats.Slice(row * 7 * width, _rows[row].Length * width),
                    [.. _rows[row].Select((token, position) => new TokenOrigin(row, position, token))]);
            }

            actual.Count.ShouldBe(15);
            ActivationStatisticsTests.ShouldBeEqual(actual, expected);
        }
    }

    [Fact]
    public void Pass_RowsWithoutPadding_EqualsThoseWith()
    {
        using SmallModel model = new();
        ActivationSelector selector = new("blocks.1.attn.hook_q");
        ActivationStatistics together = Collect(model, selector)[selector.Hook], apart = Collect(model, selector, rows: [_rows[0]])[selector.Hook];
        apart.Merge(Collect(model, selector, rows: [_rows[1]], origins: [new RowOrigin(1, 0)])[selector.Hook]);
        apart.Merge(Collect(model, selector, rows: [_rows[2]], origins: [new RowOrigin(2, 0)])[selector.Hook]);
        together.Count.ShouldBe(apart.Count);
        for (int c = 0; c < together.Channels; c++)
        {
            together.Mean()[c].ShouldBe(apart.Mean()[c], 1e-5);
            together.Top(c)[0].Value.ShouldBe(apart.Top(c)[0].Value, 1e-5f);
        }
    }

    [Fact]
    public void Pass_Filter_LeavesTokensOut()
    {
        using SmallModel model = new();
        ActivationSelector selector = new("hook_embed");
        TokenFilter filter = new() { SkipsFirst = true, SkippedTokens = new HashSet<int> { 3, 9 } };
        RowOrigin[] origins = [new(40, 100), new(41, 0), new(42, 0)];
        ActivationStatistics statistics = Collect(model, selector, filter, origins: origins)["hook_embed"];
        statistics.Count.ShouldBe(6);
        statistics.Top(0).Concat(statistics.Bottom(0)).Select(token => token.Origin).ToHashSet()
            .IsSubsetOf([new(40, 101, 2), new(40, 103, 4), new(40, 104, 5), new(40, 105, 6), new(40, 106, 7), new(41, 2, 0)]).ShouldBeTrue();
    }

    [Fact]
    public void Pass_TokensThatAreNamedTwice_CountOnce()
    {
        using SmallModel model = new();
        ActivationSelector once = new("hook_embed") { Positions = [0, 2], Rows = [0, 1] };
        ActivationStatistics expected = Collect(model, once)[once.Hook];
        expected.Count.ShouldBe(4);

        foreach (ActivationSelector twice in new[] { once with { Positions = [2, 0, 2, 0] }, once with { Rows = [0, 1, 0] }, once with { Rows = [1], Positions = [0, 2, -1, -3] } })
        {
            ActivationStatistics actual = Collect(model, twice)[once.Hook];
            actual.Count.ShouldBe(twice.Rows.Count == 1 ? 2 : 4);
            if (twice.Rows.Count > 1) ActivationStatisticsTests.ShouldBeEqual(actual, expected);
        }
    }

    [Fact]
    public void Create_ChannelsOrHeadsThatAreNamedTwice_AreRefused()
    {
        using SmallModel model = new();
        Should.Throw<ArgumentException>(() => Collect(model, new ActivationSelector("hook_embed") { Channels = [1, 2, 1] }));
        Should.Throw<ArgumentException>(() => Collect(model, new ActivationSelector("blocks.0.attn.hook_q") { Heads = [1, 1] }));
    }

    [Fact]
    public void Pass_HeadsChannelsAndPositions_CountOnlyThose()
    {
        using SmallModel model = new();
        ActivationSelector selector = new("blocks.0.attn.hook_v") { Heads = [1], Channels = [5, 0], Positions = [-1], Rows = [2, 0] };
        ActivationStatistics statistics = Collect(model, selector)[selector.Hook];
        HostTensor captured = model.Run(_rows, [selector]).Captured.Single();
        statistics.Shape.ShouldBe([1, 2]);
        statistics.Top(0).Select(token => token.Value).ShouldBe([.. new[] { captured.Floats[0], captured.Floats[2] }.OrderDescending()]);
        statistics.Top(1).Select(token => token.Origin).ShouldBe([new TokenOrigin(0, 6, 7), new TokenOrigin(2, 4, 3)], ignoreOrder: true);
    }

    [Fact]
    public void Pass_ReversedPositions_KeepTheirOrigins()
    {
        using SmallModel model = new();
        ActivationSelector all = new("hook_embed"), reversed = new("hook_embed") { Positions = [2, 1, 0] };
        int[][] rows = [[1, 2, 3]];
        ActivationStatisticsTests.ShouldBeEqual(Collect(model, reversed, rows: rows)["hook_embed"], Collect(model, all, rows: rows)["hook_embed"]);
    }

    [Fact]
    public void Pass_WithTwin_CountsTheChangedHalf()
    {
        using SmallModel model = new();
        ActivationSelector selector = new("blocks.1.hook_mlp_out") { Positions = [0, 2] };
        ForwardPlan plan = model.Plan(_rows, [selector]);
        IReadOnlyDictionary<string, ActivationStatistics> statistics = StatisticsTap.Create(plan.Captures, StatisticsData.AllOptions);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        StatisticsTap tap = new(plan.Captures, statistics, plan.Batch, ct: TestContext.Current.CancellationToken, hasTwin: true);
        Tensor ids = plan.Batch.ToTensor(model.Transformer.Device);
        model.Transformer.Forward(cat([zeros_like(ids), ids], 0), tap);
        ActivationStatistics alone = Collect(model, selector)[selector.Hook];
        statistics[selector.Hook].Count.ShouldBe(6);
        for (int c = 0; c < alone.Channels; c++) statistics[selector.Hook].Mean()[c].ShouldBe(alone.Mean()[c], 1e-5);
    }

    [Fact]
    public void Pass_ManyTimes_LeavesNoTensors()
    {
        using SmallModel model = new();
        Collect(model, new ActivationSelector("blocks.*.attn.hook_k"), new TokenFilter { SkipsFirst = true });
        DisposeScopeManager.Statistics.Reset();
        Collect(model, new ActivationSelector("blocks.*.attn.hook_k"), new TokenFilter { SkipsFirst = true });
        Collect(model, new ActivationSelector("hook_embed"));
        DisposeScopeManager.Statistics.ThreadTotalLiveCount.ShouldBe(0);
    }

    [Fact]
    public void Create_AttentionOrOneHookTwice_IsRefused()
    {
        using SmallModel model = new();
        Should.Throw<ArgumentException>(() => Collect(model, new ActivationSelector("blocks.0.attn.hook_pattern"))).ParamName.ShouldBe("hooks");
        IReadOnlyList<ResolvedSelection> twice = model.Plan(_rows, [new ActivationSelector("hook_embed"), new ActivationSelector("hook_embed")]).Captures;
        Should.Throw<ArgumentException>(() => StatisticsTap.Create(twice, new StatisticsOptions())).Message.ShouldContain("hook_embed is matched twice");
    }

    [Fact]
    public void Pass_Cancelled_Stops()
    {
        using SmallModel model = new();
        Should.Throw<OperationCanceledException>(() => Collect(model, new ActivationSelector("hook_embed"), isCancelled: true));
    }

    private static IReadOnlyDictionary<string, ActivationStatistics> Collect(
        SmallModel model, ActivationSelector selector, TokenFilter? filter = null, int[][]? rows = null, RowOrigin[]? origins = null, bool isCancelled = false)
    {
        ForwardPlan plan = model.Plan(rows ?? _rows, [selector]);
        IReadOnlyDictionary<string, ActivationStatistics> statistics = StatisticsTap.Create(plan.Captures, StatisticsData.AllOptions);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        StatisticsTap tap = new(plan.Captures, statistics, plan.Batch, filter, origins, ct: isCancelled ? new CancellationToken(canceled: true) : TestContext.Current.CancellationToken);
        model.Transformer.Forward(plan.Batch.ToTensor(model.Transformer.Device), tap);
        return statistics;
    }
}
