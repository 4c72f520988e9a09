using System.Collections.Frozen;

namespace Lab.Gateway.Operations;

/// <summary>The operations by name.</summary>
internal sealed class OperationRegistry(IEnumerable<IOperation> operations)
{
    private readonly FrozenDictionary<string, IOperation> _operations = operations.ToFrozenDictionary(o => o.Name);

    public IEnumerable<string> Names => _operations.Keys.Order(StringComparer.Ordinal);

    public IOperation? Find(string name) => _operations.GetValueOrDefault(name);

    public IOperation Get(string name) => Find(name) ?? throw new KeyNotFoundException($"There is no operation '{name}'.");
}
