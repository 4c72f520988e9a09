using Lab.Models.Tokenizers;

namespace Lab.Models.Interventions;

/// <summary>Finds the tokens of the texts that selectors name.</summary>
internal static class TextResolver
{
    /// <summary>The positions of a selector's texts in each row of a batch of whole rows.</summary>
    /// <param name="selector">The selector, its rows checked.</param>
    /// <param name="batch">The tokens, with the rows' texts.</param>
    /// <param name="field">The selector's path, for errors.</param>
    /// <returns>The positions, and where <see cref="ActivationSelector.FromText"/> begins; each null where the selector names no text there.</returns>
    /// <exception cref="InvalidSelectionException">A selected row does not have a text, or its text is not known.</exception>
    public static (IReadOnlyList<HashSet<int>>? Texts, IReadOnlyList<int>? Starts) Resolve(ActivationSelector selector, TokenBatch batch, string field)
    {
        if (selector.Texts.Count == 0 && selector.FromText is null) return (null, null);
        HashSet<int> selected = [.. selector.Rows.Count > 0 ? selector.Rows : Enumerable.Range(0, batch.Count)];
        HashSet<int>[] texts = [.. Enumerable.Range(0, batch.Count).Select(_ => new HashSet<int>())];
        int[] starts = new int[batch.Count];
        foreach (int row in selected)
        {
            for (int i = 0; i < selector.Texts.Count; i++) texts[row].UnionWith(Find(batch, row, selector.Texts[i], $"{field}.texts[{i}]"));
            if (selector.FromText is { } start) starts[row] = Find(batch, row, start with { Occurrence = start.Occurrence ?? 0 }, $"{field}.from.text")[0];
        }

        return (selector.Texts.Count > 0 ? texts : null, selector.FromText is not null ? starts : null);
    }

    /// <summary>The tokens of a text in a row: at least one.</summary>
    private static IReadOnlyList<int> Find(TokenBatch batch, int row, TextMatch match, string field)
    {
        if (match.Text.Length == 0) throw new InvalidSelectionException($"{field}.text", "A text is required.");
        if (batch.Texts?[row] is not { } text) throw new InvalidSelectionException(field, $"The text of row {row} is not known: the model has no tokenizer that could tell it.");
        IReadOnlyList<int> tokens = text.TokensOf(match.Text, match.Occurrence);
        if (tokens.Count > 0) return tokens;
        string which = match.Occurrence is { } occurrence ? $"occurrence {occurrence} of " : "";
        string shown = match.Text.Length <= 60 ? match.Text : $"{match.Text[..60]}...";
        throw new InvalidSelectionException(field, $"Row {row} does not have {which}'{shown}'.");
    }
}
