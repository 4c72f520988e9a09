using Lab.Models.Tokenizers;

namespace Lab.ModelHost.Mapping;

/// <summary>One row of an input.</summary>
/// <param name="Ids">Its tokens.</param>
/// <param name="Text">Its text, and where the tokens are in it; null for tokens that the model's tokenizer does not know.</param>
internal sealed record PromptRow(int[] Ids, TokenizedText? Text);
