using System.Globalization;
using Lab.ModelHost.Passes;
using Lab.Models.Statistics;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Statistics;

/// <summary>Puts states together, one after another.</summary>
/// <param name="maxSizeBytes">The most memory that they may take.</param>
/// <param name="memory">Holds what they take.</param>
internal sealed class StatisticsStates(long maxSizeBytes, RunLimits.Holding memory)
{
    private MeasuredStatistics? _merged;

    /// <summary>The memory of what is merged so far.</summary>
    public long SizeBytes => _merged?.Statistics.Sum(one => one.SizeBytes) ?? 0;

    /// <summary>What states say beside the numbers themselves.</summary>
    public static Dictionary<string, string> Metadata(MeasuredStatistics measured) => new(measured.Identity)
    {
        ["rows"] = measured.Rows.ToString(CultureInfo.InvariantCulture),
        ["tokens"] = measured.Tokens.ToString(CultureInfo.InvariantCulture),
        ["order"] = string.Join(',', measured.Statistics.Select(one => one.Hook)),
    };

    /// <summary>Adds a state.</summary>
    /// <param name="bytes">The state.</param>
    /// <param name="name">What it is, for errors: "state[0]".</param>
    /// <exception cref="InvalidDataException">It is malformed.</exception>
    /// <exception cref="InvalidRequestException">It does not go with the first one.</exception>
    /// <exception cref="ResourceExhaustedException">It takes too much memory, or too much is held by others.</exception>
    public void Add(ReadOnlyMemory<byte> bytes, string name)
    {
        StatisticsFile file = StatisticsFile.Read(bytes, name, maxSizeBytes, more => memory.Resize(memory.Bytes + more));
        MeasuredStatistics added = ToMeasured(file, name);
        if (_merged is null)
        {
            _merged = added;
            return;
        }

        string[] differing = ["model", "selection", "effects"];
        if (differing.FirstOrDefault(key => _merged.Identity.GetValueOrDefault(key) != added.Identity.GetValueOrDefault(key)) is { } key)
        {
            throw new InvalidRequestException(name, $"It is of another {key} than the first one. The selection is that of selectors and skipped tokens, the effects are interventions and weight edits.");
        }

        if (!_merged.Statistics.Select(one => one.Hook).SequenceEqual(added.Statistics.Select(one => one.Hook))) throw new InvalidRequestException(name, "It is of other hooks than the first one.");
        foreach ((ActivationStatistics into, ActivationStatistics from) in _merged.Statistics.Zip(added.Statistics)) Merge(into, from, name);
        _merged = _merged with { Rows = _merged.Rows + added.Rows, Tokens = _merged.Tokens + added.Tokens };
        if (SizeBytes > maxSizeBytes)
        {
            throw new ResourceExhaustedException("STATISTICS_TOO_LARGE", $"The merged statistics take more than the {maxSizeBytes} bytes of memory that are allowed.");
        }
    }

    /// <summary>What all states give.</summary>
    /// <exception cref="InvalidRequestException">There was none.</exception>
    public MeasuredStatistics Merged() => _merged ?? throw new InvalidRequestException("request", "At least one state or artifact is required.");

    private static void Merge(ActivationStatistics into, ActivationStatistics from, string name)
    {
        try
        {
            into.Merge(from);
        }
        catch (ArgumentException e)
        {
            throw new InvalidRequestException(name, e.Message);
        }
        catch (InvalidOperationException e)
        {
            throw new ResourceExhaustedException("TOO_MANY_TOKENS", e.Message);
        }
    }

    private static MeasuredStatistics ToMeasured(StatisticsFile file, string name)
    {
        long Count(string key) => long.TryParse(file.Metadata.GetValueOrDefault(key), NumberStyles.None, CultureInfo.InvariantCulture, out long count)
            ? count
            : throw new InvalidDataException($"{name}: the metadata's {key} is no number.");

        string[] order = file.Metadata.GetValueOrDefault("order", "").Split(',');
        if (!file.Statistics.Select(one => one.Hook).ToHashSet().SetEquals(order)) throw new InvalidDataException($"{name}: the metadata's order does not name the hooks.");
        Dictionary<string, string> identity = file.Metadata.Where(item => item.Key is not ("rows" or "tokens" or "order")).ToDictionary();
        return new MeasuredStatistics([.. order.Select(hook => file.Statistics.First(one => one.Hook == hook))], identity, Count("rows"), Count("tokens"), [], [], TimeSpan.Zero);
    }
}
