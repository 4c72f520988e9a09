namespace Lab.Models.Tasks;

/// <summary>A prompt as the tokens of a model.</summary>
/// <param name="Text">The prompt's text. Targets that begin alike share tokens, which <paramref name="Tokens"/> has after those of the text.</param>
/// <param name="Tokens">All tokens before the one that decides, [pos].</param>
/// <param name="Target">The id that rightly follows.</param>
/// <param name="Alternative">The id that would follow if the other prompt's target did.</param>
public sealed record TokenizedPrompt(string Text, int[] Tokens, int Target, int Alternative)
{
    /// <summary>The index of the last token: the logits there decide. A model is right if those of <see cref="Target"/> are above those of <see cref="Alternative"/>.</summary>
    public int DecidingPosition => Tokens.Length - 1;
}
