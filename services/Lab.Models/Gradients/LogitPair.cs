namespace Lab.Models.Gradients;

/// <summary>Two tokens whose logits are compared at one position.</summary>
/// <param name="Row">The row, from 0; null for every row.</param>
/// <param name="Position">The position; a negative one counts from the row's end.</param>
/// <param name="TokenA">The token whose logit counts positively, below d_vocab.</param>
/// <param name="TokenB">The token whose logit counts negatively; null for none.</param>
public readonly record struct LogitPair(int? Row, int Position, int TokenA, int? TokenB);
