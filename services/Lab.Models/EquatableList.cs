using System.Collections;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lab.Models;

/// <summary>An immutable list that equals another of equal items, so that records that hold one compare by value.</summary>
/// <typeparam name="T">The items.</typeparam>
[CollectionBuilder(typeof(EquatableList), nameof(EquatableList.Create))]
[JsonConverter(typeof(EquatableListConverter))]
public sealed class EquatableList<T> : IReadOnlyList<T>, IEquatable<EquatableList<T>>
{
    private readonly T[] _items;

    internal EquatableList(ReadOnlySpan<T> items) => _items = items.ToArray();

    /// <inheritdoc/>
    public int Count => _items.Length;

    /// <inheritdoc/>
    public T this[int index] => _items[index];

    /// <inheritdoc/>
    public bool Equals(EquatableList<T>? other) => other is not null && _items.AsSpan().SequenceEqual(other._items, EqualityComparer<T>.Default);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as EquatableList<T>);

    /// <inheritdoc/>
    public override int GetHashCode() => _items.Aggregate(_items.Length, (hash, item) => HashCode.Combine(hash, item));

    /// <inheritdoc/>
    public IEnumerator<T> GetEnumerator() => ((IEnumerable<T>)_items).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>Makes lists for collection expressions.</summary>
public static class EquatableList
{
    /// <summary>A list of some items.</summary>
    public static EquatableList<T> Create<T>(ReadOnlySpan<T> items) => new(items);
}

/// <summary>Lists of integers as JSON arrays.</summary>
internal sealed class EquatableListConverter : JsonConverter<EquatableList<int>>
{
    public override EquatableList<int> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        [.. JsonSerializer.Deserialize<int[]>(ref reader, options) ?? []];

    public override void Write(Utf8JsonWriter writer, EquatableList<int> value, JsonSerializerOptions options)
    {
        writer.WriteStartArray();
        foreach (int item in value) writer.WriteNumberValue(item);
        writer.WriteEndArray();
    }
}
