namespace Lab.Models.Tasks;

/// <summary>How well a model does one task.</summary>
/// <param name="Task">The task's name.</param>
/// <param name="Prompts">Prompts that were asked: two of each pair.</param>
/// <param name="Accuracy">The share of them whose target had the higher logit; 0.5 is chance. NaN without prompts.</param>
/// <param name="MeanLogOdds">The mean of log p(target) - log p(alternative), in nats. NaN without prompts.</param>
/// <param name="Obstacle">Why there are no prompts: the tokenizer or the context does not allow them; null if there are.</param>
public sealed record TaskScore(string Task, int Prompts, double Accuracy, double MeanLogOdds, string? Obstacle);
