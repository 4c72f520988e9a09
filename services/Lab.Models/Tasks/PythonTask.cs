using System.Text.RegularExpressions;
using Lab.Models.Corpora;

namespace Lab.Models.Tasks;

/// <summary>
/// One of the twenty tasks of Gao et al. 2025, table 1: a source of pairs of Python prompts between which a model must tell. The paper
/// publishes names and a few prompts; the templates (Templates/*.txt) are this project's own. Safe for use by many threads.
/// </summary>
public sealed partial class PythonTask
{
    private readonly TaskTemplate[] _train;
    private readonly TaskTemplate[] _heldOut;

    private PythonTask(string name, int index, TaskTemplate[] train, TaskTemplate[] heldOut) => (Name, Index, _train, _heldOut) = (name, index, train, heldOut);

    /// <summary>All twenty, in the order of the paper's table.</summary>
    public static IReadOnlyList<PythonTask> All { get; } = Read();

    /// <summary>The task's name, as in the paper.</summary>
    public string Name { get; }

    /// <summary>Its place among <see cref="All"/>.</summary>
    public int Index { get; }

    /// <summary>The task of a name.</summary>
    /// <param name="name">Such as "single_double_quote".</param>
    /// <param name="field">The request's field that the name comes from, for the error.</param>
    /// <exception cref="ArgumentException">There is none of this name; the message lists those there are.</exception>
    public static PythonTask Get(string name, string field) => All.FirstOrDefault(task => task.Name == name)
        ?? throw new ArgumentException($"There is no task '{name}'; there are {string.Join(", ", All.Select(task => task.Name))}.", field);

    /// <summary>Draws a pair of prompts.</summary>
    /// <param name="random">Decides the template and what it is filled with.</param>
    /// <param name="split">Which templates and words.</param>
    public PromptPair Draw(SeededRandom random, PromptSplit split) => Draw(random, split, TaskWords.Of(split));

    /// <summary>Draws a pair of prompts with words of one's own.</summary>
    public PromptPair Draw(SeededRandom random, PromptSplit split, TaskWords words)
    {
        ArgumentNullException.ThrowIfNull(random);
        ArgumentNullException.ThrowIfNull(words);
        return random.Pick(TemplatesOf(split)).Fill(random, words);
    }

    /// <inheritdoc/>
    public override string ToString() => Name;

    internal IReadOnlyList<TaskTemplate> TemplatesOf(PromptSplit split) => split == PromptSplit.Train ? _train : _heldOut;

    private static PythonTask[] Read()
    {
        string[] names =
        [
            "single_double_quote", "final_kwarg", "set_or_string", "set_or_string_fixedvarname", "class_init", "with_as", "bracket_brace", "with_open",
            "bracket_counting", "for_while", "else_elif", "fstring_brace", "if_ternary", "var_swap", "indent_for", "lambda_func", "if_equals",
            "enumerate_range", "var_if", "while_return_true",
        ];
        return [.. names.Select((name, index) => Read(name, index))];
    }

    private static PythonTask Read(string name, int index)
    {
        // Of a fixed name the templates are those of any name.
        bool isFixed = name == "set_or_string_fixedvarname";
        using Stream stream = typeof(PythonTask).Assembly.GetManifestResourceStream($"tasks/{(isFixed ? "set_or_string" : name)}.txt")
            ?? throw new InvalidOperationException($"The templates of {name} are missing.");
        using var reader = new StreamReader(stream);
        string text = reader.ReadToEnd().ReplaceLineEndings("\n");
        if (isFixed) text = PlainVariable().Replace(text, "current");
        string[] sections = text.Split("\n--- ")[1..];
        return new PythonTask(name, index, Templates("train\n"), Templates("held_out\n"));

        TaskTemplate[] Templates(string split) =>
            [.. sections.Where(section => section.StartsWith(split, StringComparison.Ordinal)).Select(section => TaskTemplate.Parse(section[split.Length..]))];
    }

    [GeneratedRegex(@"\$var(?![0-9a-z])")]
    private static partial Regex PlainVariable();
}
