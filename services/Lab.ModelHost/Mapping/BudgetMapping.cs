using Lab.ModelHost.Passes;
using Lab.ModelHost.Scheduling;
using Lab.Protos.ModelHost.V1;
using Lab.ServiceDefaults.Errors;

namespace Lab.ModelHost.Mapping;

/// <summary>Budgets, priorities and the queue.</summary>
internal static class BudgetMapping
{
    /// <summary>What a request may cost; a missing budget is no limit.</summary>
    public static RequestLimits ToLimits(this Budget? budget, string field) => budget is null ? default : new RequestLimits(
        NotNegative(budget.MaxBytes, $"{field}.max_bytes"),
        NotNegative(budget.MaxTokens, $"{field}.max_tokens"),
        TimeSpan.FromMilliseconds(Math.Min(NotNegative(budget.MaxTimeMs, $"{field}.max_time_ms"), int.MaxValue)));

    /// <summary>When a request gets its turn.</summary>
    public static WorkPriority ToCore(this Priority priority, string field) => priority switch
    {
        Priority.Unspecified or Priority.Normal => WorkPriority.Normal,
        Priority.Low => WorkPriority.Low,
        Priority.High => WorkPriority.High,
        _ => throw new InvalidRequestException(field, $"{(int)priority} is no priority."),
    };

    public static ModelQueue ToMessage(this QueueState state) => new() { Length = state.Length, Running = state.Running, WaitMs = state.Wait.TotalMilliseconds };

    private static long NotNegative(long value, string field) => value >= 0 ? value : throw new InvalidRequestException(field, "It must not be negative.");
}
