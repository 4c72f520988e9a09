namespace Lab.Models.Gradients;

/// <summary>A token that is to be predicted.</summary>
/// <param name="Row">The row, from 0.</param>
/// <param name="Position">The position whose prediction is meant; a negative one counts from the row's end.</param>
/// <param name="Token">The token, below d_vocab.</param>
public readonly record struct TokenTarget(int Row, int Position, int Token);
