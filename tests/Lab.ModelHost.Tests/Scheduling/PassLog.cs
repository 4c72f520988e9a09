using Lab.ModelHost.Scheduling;
using Microsoft.Extensions.Time.Testing;

namespace Lab.ModelHost.Tests.Scheduling;

/// <summary>The turns that there were: the names of those in each.</summary>
internal sealed class PassLog(FakeTimeProvider time)
{
    private SharedPass? _last;

    public List<string[]> Passes { get; } = [];

    /// <summary>Writes down that a request takes part in a turn, and lets time go by.</summary>
    public void Add(SharedPass pass, string name, TimeSpan took)
    {
        if (!ReferenceEquals(_last, pass)) Passes.Add([]);
        _last = pass;
        Passes[^1] = [.. Passes[^1], name];
        time.Advance(took / pass.Requests);
    }
}
