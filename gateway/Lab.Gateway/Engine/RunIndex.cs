using System.Collections.Concurrent;

namespace Lab.Gateway.Engine;

/// <summary>Which runs there are, and when each was created.</summary>
internal sealed class RunIndex
{
    private readonly ConcurrentDictionary<string, DateTimeOffset> _runs = new();

    public void Add(string id, DateTimeOffset createTime) => _ = _runs.TryAdd(id, createTime);

    public bool Contains(string id) => _runs.ContainsKey(id);

    /// <summary>Newest first; those of one time by ID.</summary>
    public IReadOnlyList<KeyValuePair<string, DateTimeOffset>> List() =>
        [.. _runs.OrderByDescending(r => r.Value).ThenBy(r => r.Key, StringComparer.Ordinal)];
}
