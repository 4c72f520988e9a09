namespace Lab.Models.Tasks;

/// <summary>Two prompts of one template that differ in what decides, and as little as possible else: each one's target is the other's alternative.</summary>
/// <param name="A">The first prompt, such as that in double quotes.</param>
/// <param name="B">The second prompt.</param>
/// <param name="Names">The variables in them, in order of appearance.</param>
public sealed record PromptPair(PythonPrompt A, PythonPrompt B, IReadOnlyList<string> Names);
