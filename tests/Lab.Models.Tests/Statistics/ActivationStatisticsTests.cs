using CsCheck;
using Lab.Models.Statistics;

namespace Lab.Models.Tests.Statistics;

public sealed class ActivationStatisticsTests
{
    private static readonly double[] _quantiles = [0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1];

    [Fact]
    public void Add_AnyData_GivesTheMomentsOfTwoPasses() => StatisticsData.Any.Sample(data =>
    {
        ActivationStatistics statistics = data.Collect();
        for (int c = 0; c < data.Channels && data.Tokens > 0; c++)
        {
            double[] column = [.. data.Column(c).Select(x => (double)x)];
            double mean = column.Average(), scale = column.Max(Math.Abs), variance = column.Average(x => (x - mean) * (x - mean));
            statistics.Mean()[c].ShouldBe(mean, 1e-12 * scale);
            statistics.Variance()[c].ShouldBe(variance, (1e-9 * variance) + (1e-26 * scale * scale));
            statistics.Min()[c].ShouldBe((float)column.Min());
            statistics.Max()[c].ShouldBe((float)column.Max());
            statistics.NonzeroFraction()[c].ShouldBe(column.Count(x => x != 0) / (double)data.Tokens);
        }
    });

    [Fact]
    public void Add_AnyData_GivesTheNorms() => StatisticsData.Any.Where(data => data.Tokens > 0).Sample(data =>
    {
        double[] norms = [.. data.Values.Chunk(data.Channels).Select(row => Math.Sqrt(row.Sum(x => (double)x * x))).Order()];
        ActivationStatistics statistics = data.Collect();
        statistics.NormMean().ShouldBe(norms.Average(), 1e-12 * norms[^1]);
        statistics.NormVariance().ShouldBe(norms.Average(norm => Math.Pow(norm - norms.Average(), 2)), 1e-12 * norms[^1] * norms[^1]);
        statistics.NormMin().ShouldBe(norms[0], 1e-12 * norms[0]);
        statistics.NormMax().ShouldBe(norms[^1], 1e-12 * norms[^1]);
        ShouldBeQuantiles(statistics.NormQuantiles(_quantiles), norms, 0.01);
    });

    [Fact]
    public void Add_AnyData_GivesTheMostAndLeastActivatingTokens() => StatisticsData.Any.Sample(data =>
    {
        ActivationStatistics statistics = data.Collect();
        for (int c = 0; c < data.Channels; c++)
        {
            ActivatingToken[] all = [.. data.Column(c).Select((value, i) => new ActivatingToken(value, data.Origins[i]))];
            statistics.Top(c).ShouldBe(all.OrderByDescending(token => token.Value).ThenBy(token => token.Origin).Take(5));
            statistics.Bottom(c).ShouldBe(all.OrderBy(token => token.Value).ThenBy(token => token.Origin).Take(3));
        }
    });

    [Fact]
    public void Add_AnyData_GivesTheCovariance() => StatisticsData.Any.Where(data => data.Tokens > 0).Sample(
        data =>
        {
            double[] covariance = data.Collect().Covariance()!;
            double[][] columns = [.. Enumerable.Range(0, data.Channels).Select(c => data.Column(c).Select(x => (double)x).ToArray())];
            for (int a = 0; a < data.Channels; a++)
            {
                for (int b = 0; b < data.Channels; b++)
                {
                    double meanA = columns[a].Average(), meanB = columns[b].Average(), scale = columns[a].Max(Math.Abs) * columns[b].Max(Math.Abs);
                    double expected = columns[a].Zip(columns[b], (x, y) => (x - meanA) * (y - meanB)).Average();
                    covariance[(a * data.Channels) + b].ShouldBe(expected, 1e-12 * scale);
                }
            }
        },
        iter: 20);

    [Theory]
    [InlineData(0.2)]
    [InlineData(0.01)]
    [InlineData(0.0005)]
    public void Quantiles_AnyData_AreWithinTheError(double error) => StatisticsData.Any.Where(data => data.Tokens > 0).Sample(
        data =>
        {
            ActivationStatistics statistics = data.Collect(options: new StatisticsOptions { QuantileError = error });
            for (int c = 0; c < data.Channels; c++)
            {
                ShouldBeQuantiles(statistics.Quantiles(c, _quantiles), [.. data.Column(c).Order().Select(x => (double)x)], error);
            }
        },
        iter: 50);

    [Fact]
    public void Merge_AnyPartsInAnyOrder_EqualsOnePass() => Gen.Select(StatisticsData.Any, Gen.Int[0, 700], Gen.Int[0, 700], Gen.Int[0, 5]).Sample((data, one, two, order) =>
    {
        int low = Math.Min(Math.Min(one, two), data.Tokens), high = Math.Min(Math.Max(one, two), data.Tokens);
        ActivationStatistics whole = data.Collect();
        ActivationStatistics[] parts = [data.Collect(0, low), data.Collect(low, high), data.Collect(high)];
        int[][] orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        int[] permutation = orders[order];
        ActivationStatistics left = data.Collect(0, 0), right = data.Collect(0, 0), last = data.Collect(0, 0);

        // ((a + b) + c) and (a + (b + c))
        foreach (int part in permutation) left.Merge(parts[part]);
        last.Merge(parts[permutation[1]]);
        last.Merge(parts[permutation[2]]);
        right.Merge(parts[permutation[0]]);
        right.Merge(last);
        ShouldBeEqual(left, whole);
        ShouldBeEqual(right, whole);
    });

    [Fact]
    public void Add_OnSeveralThreads_EqualsOne()
    {
        const int channels = 500, tokens = 3000;
        StatisticsData data = new(Seed: 8, channels, tokens, IsShuffled: true);
        data.Values[77] = float.NaN;
        StatisticsOptions options = new() { TopCount = 4, BottomCount = 4 };
        byte[][] states = [.. new[] { 1, 7 }.Select(threads =>
        {
            ActivationStatistics statistics = new(StatisticsData.Hook, [channels], options) { MaxThreads = threads };
            statistics.Add(data.Values, data.Origins);
            statistics.Count.ShouldBe(tokens - 1);
            return new StatisticsFile([statistics], new Dictionary<string, string>()).ToBytes();
        })];
        states[1].ShouldBe(states[0]);
    }

    [Fact]
    public void Merge_WithItself_CountsTwice() => StatisticsData.Any.Sample(data =>
    {
        ActivationStatistics twice = data.Collect(), other = data.Collect();
        twice.Merge(twice);
        other.Merge(data.Collect());
        ShouldBeEqual(twice, other);
        twice.Count.ShouldBe(2 * data.Tokens);
    });

    [Fact]
    public void Add_AfterMergingLaterTokens_KeepsTheEarlierOnesOfATie()
    {
        StatisticsData data = new(Seed: 3, Channels: 20, Tokens: 600, IsShuffled: false);
        ActivationStatistics statistics = data.Collect(300, 600);
        statistics.Add(data.Values.AsSpan(0, 300 * 20), data.Origins.AsSpan(0, 300));
        ShouldBeEqual(statistics, data.Collect());
    }

    [Fact]
    public void Add_NonFinite_IsCountedAndLeftOut()
    {
        StatisticsData data = new(Seed: 5, Channels: 19, Tokens: 400, IsShuffled: false);
        float[] broken = [.. data.Values];
        (broken[(7 * 19) + 18], broken[(300 * 19) + 2], broken[(399 * 19) + 1]) = (float.NaN, float.PositiveInfinity, float.NegativeInfinity);
        ActivationStatistics statistics = new(StatisticsData.Hook, [19], StatisticsData.AllOptions), without = new(StatisticsData.Hook, [19], StatisticsData.AllOptions);
        statistics.Add(broken, data.Origins);
        foreach (int token in Enumerable.Range(0, 400).Except([7, 300, 399])) without.Add(data.Values.AsSpan(token * 19, 19), [data.Origins[token]]);

        statistics.NonFiniteCount.ShouldBe(3);
        statistics.FirstNonFinite.ShouldBe(data.Origins[7]);
        statistics.Count.ShouldBe(397);
        ShouldBeEqual(statistics, without);
    }

    [Fact]
    public void Summary_OfNoTokens_IsNaN()
    {
        ActivationStatistics statistics = new("hook_embed", [2, 3]);
        statistics.Channels.ShouldBe(6);
        new[] { statistics.Mean()[5], statistics.Variance()[5], statistics.Min()[5], statistics.Max()[5], statistics.NonzeroFraction()[5], statistics.NormMean(), statistics.Quantiles(5, 0.5)[0], statistics.NormQuantiles(1)[0] }
            .ShouldAllBe(number => double.IsNaN(number));
        statistics.Top(5).ShouldBeEmpty();
    }

    [Fact]
    public void Merge_OtherHookShapeOrOptions_IsRefused()
    {
        ActivationStatistics statistics = new("hook_embed", [4]);
        Should.Throw<ArgumentException>(() => statistics.Merge(new ActivationStatistics("ln_final.hook_normalized", [4]))).ParamName.ShouldBe("hook");
        Should.Throw<ArgumentException>(() => statistics.Merge(new ActivationStatistics("hook_embed", [2, 2]))).ParamName.ShouldBe("shape");
        Should.Throw<ArgumentException>(() => statistics.Merge(new ActivationStatistics("hook_embed", [4], new() { TopCount = 3 }))).ParamName.ShouldBe("options");
    }

    [Theory]
    [InlineData(0.3, 10, 0, false, "options.quantile_error")]
    [InlineData(double.NaN, 10, 0, false, "options.quantile_error")]
    [InlineData(0.01, -1, 0, false, "options.top_count")]
    [InlineData(0.01, 0, 1025, false, "options.bottom_count")]
    [InlineData(0.01, 0, 0, true, "options.covariance")]
    public void Options_OutOfRange_AreRefused(double error, int top, int bottom, bool hasCovariance, string field)
    {
        StatisticsOptions options = new() { QuantileError = error, TopCount = top, BottomCount = bottom, HasCovariance = hasCovariance };
        Should.Throw<ArgumentException>(() => new ActivationStatistics("hook_embed", [5000], options)).ParamName.ShouldBe(field);
    }

    [Fact]
    public void Add_WrongNumberOfValues_IsRefused() =>
        Should.Throw<ArgumentException>(() => new ActivationStatistics("hook_embed", [3]).Add(new float[5], new TokenOrigin[2])).ParamName.ShouldBe("values");

    [Fact]
    public void Add_OnesWithEverythingOff_KeepsMomentsOnly()
    {
        ActivationStatistics statistics = new("hook_embed", [1], new StatisticsOptions { QuantileError = 0, TopCount = 0 });
        statistics.Add([1, 1], new TokenOrigin[2]);
        statistics.Mean().ShouldBe([1]);
        statistics.Variance().ShouldBe([0]);
        statistics.Top(0).ShouldBeEmpty();
        statistics.Covariance().ShouldBeNull();
        Should.Throw<InvalidOperationException>(() => statistics.Quantiles(0, 0.5));
    }

    /// <summary>Equal in all that merging keeps exactly, and close in moments.</summary>
    internal static void ShouldBeEqual(ActivationStatistics actual, ActivationStatistics expected)
    {
        actual.Count.ShouldBe(expected.Count);
        actual.Min().ShouldBe(expected.Min());
        actual.Max().ShouldBe(expected.Max());
        actual.NonzeroFraction().ShouldBe(expected.NonzeroFraction());
        actual.NormQuantiles(_quantiles).ShouldBe(expected.NormQuantiles(_quantiles));
        double[] variance = expected.Variance(), covariance = expected.Covariance()!, actualCovariance = actual.Covariance()!;
        if (expected.Count > 0) actual.NormMean().ShouldBe(expected.NormMean(), 1e-12 * expected.NormMax());
        for (int c = 0; c < expected.Channels; c++)
        {
            actual.Top(c).ShouldBe(expected.Top(c));
            actual.Bottom(c).ShouldBe(expected.Bottom(c));
            actual.Quantiles(c, _quantiles).ShouldBe(expected.Quantiles(c, _quantiles));
            if (expected.Count == 0) continue;
            double scale = Math.Max(Math.Abs(expected.Max()[c]), Math.Abs(expected.Min()[c]));
            actual.Mean()[c].ShouldBe(expected.Mean()[c], 1e-12 * scale);
            actual.Variance()[c].ShouldBe(variance[c], (1e-9 * variance[c]) + (1e-26 * scale * scale));
            for (int d = 0; d < expected.Channels; d++)
            {
                int i = (c * expected.Channels) + d;
                actualCovariance[i].ShouldBe(covariance[i], 1e-9 * Math.Sqrt(variance[c] * variance[d]));
            }
        }
    }

    private static void ShouldBeQuantiles(double[] estimates, double[] sorted, double error)
    {
        for (int i = 0; i < _quantiles.Length; i++)
        {
            double exact = sorted[(int)Math.Floor(_quantiles[i] * (sorted.Length - 1))];
            estimates[i].ShouldBe(exact, (1.000001 * error * Math.Abs(exact)) + Math.ScaleB(1, -127));
            estimates[i].ShouldBeInRange(sorted[0] - (1e-12 * Math.Abs(sorted[0])), sorted[^1] + (1e-12 * Math.Abs(sorted[^1])));
        }
    }
}
