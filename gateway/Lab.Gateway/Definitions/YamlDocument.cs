using System.Text.Json.Nodes;

namespace Lab.Gateway.Definitions;

/// <summary>A YAML text as JSON, with the line that each path began on.</summary>
/// <param name="Root">The value; null for an empty text or a plain null.</param>
/// <param name="Lines">Lines from 1, by paths such as "steps[0].with".</param>
internal sealed record YamlDocument(JsonNode? Root, IReadOnlyDictionary<string, long> Lines)
{
    /// <summary>The line of a path, or of the nearest thing around it.</summary>
    public long? LineOf(string path)
    {
        while (path.Length > 0)
        {
            if (Lines.TryGetValue(path, out long line)) return line;
            path = path[..Math.Max(path.LastIndexOfAny(['.', '[']), 0)];
        }
        return null;
    }
}
