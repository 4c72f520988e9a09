using System.Text;
using System.Text.RegularExpressions;
using Lab.Models.Corpora;

namespace Lab.Models.Tasks;

/// <summary>
/// The text of a pair of prompts with places for names and values: <c>«x‖y»</c> is x in the first and y in the second, the two <c>¦</c>
/// end the prompt and the target, and <c>$var</c> is a value of a kind that <see cref="TemplateValues"/> knows, the same in both.
/// </summary>
internal sealed partial class TaskTemplate
{
    private readonly string[] _placeholders;
    private readonly Part[][] _a;
    private readonly Part[][] _b;

    private TaskTemplate(string text, string[] placeholders, Part[][] a, Part[][] b) => (Text, _placeholders, _a, _b) = (text, placeholders, a, b);

    /// <summary>The template as it is written.</summary>
    public string Text { get; }

    /// <summary>Reads a template.</summary>
    /// <exception cref="FormatException">It does not have two ends in both variants, or a kind of value is unknown.</exception>
    public static TaskTemplate Parse(string text)
    {
        text = text.TrimEnd('\n');
        string[] placeholders = [.. Placeholder().Matches(text).Select(match => match.Groups["name"].Value).Distinct()];
        foreach (string name in placeholders.Where(name => !TemplateValues.Kinds.Contains(TemplateValues.KindOf(name)))) throw new FormatException($"There is no kind of value ${name}: {text}");
        return new TaskTemplate(text, placeholders, Variant(0), Variant(1));

        Part[][] Variant(int index)
        {
            string variant = Alternatives().Replace(text, match => match.Groups[index + 1].Value);
            if (!variant.EndsWith('\n') && !variant.EndsWith("\n¦", StringComparison.Ordinal)) variant += "\n";
            string[] regions = variant.Split('¦');
            return regions.Length == 3 && regions[1].Length > 0
                ? [.. regions.Select(region => PartsOf(region, placeholders))]
                : throw new FormatException($"A template has a prompt, a target and a rest: {text}");
        }
    }

    /// <summary>Fills the template.</summary>
    public PromptPair Fill(SeededRandom random, TaskWords words)
    {
        var values = new TemplateValues(random, words);
        string[] drawn = [.. _placeholders.Select(values.Draw)];
        string[] a = [.. _a.Select(parts => Join(parts, drawn))], b = [.. _b.Select(parts => Join(parts, drawn))];
        return new PromptPair(new PythonPrompt(a[0], a[1], b[1], a[2]), new PythonPrompt(b[0], b[1], a[1], b[2]), values.Names);
    }

    private static string Join(Part[] parts, string[] drawn)
    {
        var text = new StringBuilder();
        foreach (Part part in parts) text.Append(part.Literal ?? drawn[part.Placeholder]);
        return text.ToString();
    }

    private static Part[] PartsOf(string region, string[] placeholders)
    {
        var parts = new List<Part>();
        int at = 0;
        foreach (Match match in Placeholder().Matches(region))
        {
            if (match.Index > at) parts.Add(new Part(region[at..match.Index], 0));
            parts.Add(new Part(null, Array.IndexOf(placeholders, match.Groups["name"].Value)));
            at = match.Index + match.Length;
        }

        if (at < region.Length) parts.Add(new Part(region[at..], 0));
        return [.. parts];
    }

    [GeneratedRegex(@"\$(?:\{(?<name>[a-z]+[0-9]?)\}|(?<name>[a-z]+[0-9]?))")]
    private static partial Regex Placeholder();

    [GeneratedRegex("«([^‖»]*)‖([^»]*)»")]
    private static partial Regex Alternatives();

    private readonly record struct Part(string? Literal, int Placeholder);
}
