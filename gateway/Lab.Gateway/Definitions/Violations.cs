using System.Collections;
using Lab.ServiceDefaults.Errors;

namespace Lab.Gateway.Definitions;

/// <summary>Collects what is wrong with an input, so that all of it is reported at once.</summary>
internal sealed class Violations : IEnumerable<FieldViolation>
{
    private readonly List<FieldViolation> _violations = [];

    /// <summary>Where lines are looked up for the fields of a definition. Null names none.</summary>
    public YamlDocument? Document { get; set; }

    public bool IsEmpty => _violations.Count == 0;

    /// <summary>Adds a fault of a field of the definition; the line is added to the description.</summary>
    public void Add(string field, string description)
    {
        long? line = Document?.LineOf(field);
        AddPlain(field, line is null ? description : $"{description} (line {line})");
    }

    /// <summary>Adds a fault of a field of the request.</summary>
    public void AddPlain(string field, string description) =>
        _violations.Add(new FieldViolation(field, description));

    /// <exception cref="InvalidRequestException">There is at least one.</exception>
    public void ThrowIfAny()
    {
        if (_violations.Count > 0) throw new InvalidRequestException([.. _violations.Distinct()]);
    }

    public IEnumerator<FieldViolation> GetEnumerator() => _violations.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
