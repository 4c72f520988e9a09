namespace Lab.CircuitAnalysis.Pruning;

/// <summary>A prompt and the two tokens between which the model decides.</summary>
/// <param name="Tokens">At least one.</param>
/// <param name="Answer">The right next token.</param>
/// <param name="Alternative">The wrong one.</param>
internal sealed record TaskPrompt(int[] Tokens, int Answer, int Alternative);

/// <summary>Two prompts, one of each answer.</summary>
internal sealed record TaskPair(TaskPrompt First, TaskPrompt Second);

/// <summary>The prompts of a pruning run. No name or word of one set's prompts is in another's.</summary>
/// <param name="Training">For learning the masks.</param>
/// <param name="HeldOut">For the bisection, and for what is reported.</param>
/// <param name="Test">Seen by neither.</param>
internal sealed record TaskPrompts(IReadOnlyList<TaskPair> Training, IReadOnlyList<TaskPair> HeldOut, IReadOnlyList<TaskPair> Test);
