using System.Globalization;
using Google.Protobuf;
using Lab.ModelHost.Passes;
using Lab.ModelHost.Residents;
using Lab.ModelHost.Scheduling;
using Lab.ModelHost.Statistics;
using Lab.Models.Interventions.Messages;
using Lab.Models.Statistics;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;
using Proto = Lab.Protos.ModelHost.V1;

namespace Lab.ModelHost.Mapping;

/// <summary>Statistics.</summary>
internal static class StatisticsMapping
{
    private const double DefaultQuantileError = 0.01;
    private const int DefaultTopCount = 10;
    private static readonly double[] DefaultQuantiles = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];
    private static readonly Statistic[] DefaultStatistics = [Statistic.Mean, Statistic.Variance, Statistic.Norm];

    /// <summary>What a request asks for, all but its selectors and values checked against the model.</summary>
    /// <param name="request">The request.</param>
    /// <param name="model">The model.</param>
    /// <param name="maxBytes">The most bytes that the service sends.</param>
    public static StatisticsOrder ToOrder(this CollectStatisticsRequest request, ResidentModel model, long maxBytes)
    {
        if (request.Selectors.Count == 0) throw new InvalidRequestException("selectors", "At least one is required.");
        if (request.Corpus is not null) RequireNoRows(request);
        if (request.QuantileError != 0 && request.QuantileError is not (>= StatisticsOptions.MinQuantileError and <= StatisticsOptions.MaxQuantileError))
        {
            throw new InvalidRequestException("quantile_error", $"It must be from {StatisticsOptions.MinQuantileError} to {StatisticsOptions.MaxQuantileError}, or 0 for {DefaultQuantileError}.");
        }

        if (request.TopK is < 0 or > StatisticsOptions.MaxExtremeCount) throw new InvalidRequestException("top_k", $"It must be from 1 to {StatisticsOptions.MaxExtremeCount}, or 0 for {DefaultTopCount}.");
        StatisticsReport report = ToReport(request.Statistics, request.Quantiles, request.SendState, request.Store, "");
        if (report.Statistics.Count == 0) report = report with { Statistics = DefaultStatistics.ToHashSet() };
        int top = request.TopK == 0 ? DefaultTopCount : request.TopK;
        StatisticsOptions options = new()
        {
            QuantileError = !report.Statistics.Contains(Statistic.Quantiles) ? 0 : request.QuantileError == 0 ? DefaultQuantileError : request.QuantileError,
            TopCount = report.Statistics.Contains(Statistic.TopTokens) ? top : 0,
            BottomCount = report.Statistics.Contains(Statistic.BottomTokens) ? top : 0,
            HasCovariance = report.Statistics.Contains(Statistic.Covariance),
        };
        TokenFilter filter = new()
        {
            SkipsFirst = request.SkipFirstToken,
            SkippedTokens = request.SkipSpecialTokens ? model.TokenizerOf().SpecialTokens.ByText.Values.ToHashSet() : new HashSet<int>(),
        };
        RequestLimits limits = request.Budget.ToLimits("budget");
        return new StatisticsOrder(
            request.Selectors.ToCore("selectors"),
            request.Interventions.ToCore("interventions"),
            request.WeightEdits.ToCore("weight_edits"),
            options,
            filter,
            report,
            limits.MaxBytes == 0 ? maxBytes : Math.Min(limits.MaxBytes, maxBytes),
            limits.MaxTokens == 0 ? ActivationStatistics.MaxTokens : Math.Min(limits.MaxTokens, ActivationStatistics.MaxTokens),
            limits.MaxTime,
            request.Priority == Priority.Unspecified ? WorkPriority.Low : request.Priority.ToCore("priority"),
            Identity(request, model, report));
    }

    /// <summary>What is to be told of statistics. No statistics mean all that there are, no quantiles the default ones.</summary>
    /// <param name="statistics">Which numbers.</param>
    /// <param name="quantiles">Which quantiles.</param>
    /// <param name="sendState">Whether to send the state.</param>
    /// <param name="store">Where to store them.</param>
    /// <param name="prefix">What stands before the fields' names, for errors.</param>
    public static StatisticsReport ToReport(IReadOnlyList<Statistic> statistics, IReadOnlyList<double> quantiles, bool sendState, StoreStatistics? store, string prefix)
    {
        for (int i = 0; i < statistics.Count; i++)
        {
            if (statistics[i] == Statistic.Unspecified || !Enum.IsDefined(statistics[i])) throw new InvalidRequestException($"{prefix}statistics[{i}]", $"{(int)statistics[i]} is no statistic.");
        }

        if (quantiles.Count > 1024) throw new InvalidRequestException($"{prefix}quantiles", $"There are {quantiles.Count}; at most 1024 are allowed.");
        for (int i = 0; i < quantiles.Count; i++)
        {
            if (quantiles[i] is not (>= 0 and <= 1)) throw new InvalidRequestException($"{prefix}quantiles[{i}]", "It must be from 0 to 1.");
        }

        return new StatisticsReport(statistics.ToHashSet(), quantiles.Count == 0 ? DefaultQuantiles : [.. quantiles], sendState, store?.Name);
    }

    /// <summary>What a state says that it was asked for.</summary>
    public static StatisticsReport ToReport(this IReadOnlyDictionary<string, string> identity)
    {
        IEnumerable<Statistic> statistics = Split(identity, "statistics").Select(name => Enum.TryParse(name, out Statistic statistic) ? statistic : throw new InvalidDataException("statistics"));
        double[] quantiles = [.. Split(identity, "quantiles").Select(text => double.TryParse(text, CultureInfo.InvariantCulture, out double q) ? q : throw new InvalidDataException("quantiles"))];
        return ToReport([.. statistics], quantiles, sendState: false, store: null, "state.");
    }

    public static Proto.StatisticsSummary ToSummary(this MeasuredStatistics measured, string? artifactDigest) => new()
    {
        ModelDigest = measured.Identity.GetValueOrDefault("model", ""),
        Tokens = measured.Tokens,
        Rows = measured.Rows,
        FireCounts = { measured.FireCounts },
        WeightEditFireCounts = { measured.EditFireCounts },
        ComputeMs = measured.ComputeTime.TotalMilliseconds,
        ArtifactDigest = artifactDigest ?? "",
        Hooks = { measured.Statistics.Select(ToMessage) },
    };

    private static HookStatistics ToMessage(ActivationStatistics statistics) => new()
    {
        Hook = statistics.Hook,
        Shape = { statistics.Shape },
        Tokens = statistics.Count,
        NonFiniteTokens = statistics.NonFiniteCount,
        FirstNonFinite = statistics.FirstNonFinite is not { } first ? null
            : new TokenPlace { Row = first.Document, Position = first.Position, TokenId = first.TokenId },
    };

    /// <summary>What decides which numbers are measured, and in <c>statistics</c> and <c>quantiles</c> what was to be told of them.</summary>
    private static Dictionary<string, string> Identity(CollectStatisticsRequest request, ResidentModel model, StatisticsReport report)
    {
        CollectStatisticsRequest selection = new()
        {
            Selectors = { request.Selectors },
            SkipSpecialTokens = request.SkipSpecialTokens,
            SkipFirstToken = request.SkipFirstToken,
        };
        IEnumerable<string> effects = request.Interventions.Select(EffectHash.Hash).Concat(request.WeightEdits.Select(EffectHash.Hash));
        return new Dictionary<string, string>
        {
            ["model"] = model.Digest,
            ["selection"] = ((IMessage)selection).Hash(),
            ["effects"] = string.Join(',', effects),
            ["statistics"] = string.Join(',', report.Statistics.Order()),
            ["quantiles"] = string.Join(',', report.Quantiles.Select(q => q.ToString("R", CultureInfo.InvariantCulture))),
        };
    }

    private static void RequireNoRows(CollectStatisticsRequest request)
    {
        const string Reason = "Over a corpus there are no rows that a request could know.";
        for (int i = 0; i < request.Selectors.Count; i++)
        {
            if (request.Selectors[i].Rows.Count > 0) throw new InvalidRequestException($"selectors[{i}].rows", Reason);
        }

        for (int i = 0; i < request.Interventions.Count; i++)
        {
            Proto.Intervention intervention = request.Interventions[i];
            string field = $"interventions[{i}]";
            if (intervention.Selector?.Rows.Count > 0) throw new InvalidRequestException($"{field}.selector.rows", Reason);
            if (intervention.Patch is not null) throw new InvalidRequestException($"{field}.patch", Reason);
            if (intervention.SwapSubspace is not null) throw new InvalidRequestException($"{field}.swap_subspace", Reason);
            if (intervention.Mean is { Value: null }) throw new InvalidRequestException($"{field}.mean.value", $"{Reason} A value is required.");
        }
    }

    private static string[] Split(IReadOnlyDictionary<string, string> identity, string key) => identity.GetValueOrDefault(key, "").Split(',', StringSplitOptions.RemoveEmptyEntries);
}
