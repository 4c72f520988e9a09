using System.Text.RegularExpressions;
using Lab.ServiceDefaults.Errors;

namespace Lab.Gateway.Engine;

/// <summary>Names of experiment runs: "experimentRuns/{id}".</summary>
internal static partial class RunNames
{
    private const string Prefix = "experimentRuns/";

    public static string Of(string id) => Prefix + id;

    /// <exception cref="InvalidRequestException">It is not such a name.</exception>
    public static string IdOf(string name) =>
        name.StartsWith(Prefix, StringComparison.Ordinal) && IsId(name[Prefix.Length..])
            ? name[Prefix.Length..]
            : throw new InvalidRequestException("name", $"\"{name}\" is not of the form {Prefix}{{id}}");

    public static bool IsId(string id) => Id().IsMatch(id);

    [GeneratedRegex(@"^[a-z][a-z0-9-]{0,62}\z")]
    private static partial Regex Id();
}
