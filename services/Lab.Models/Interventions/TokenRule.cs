namespace Lab.Models.Interventions;

/// <summary>Which tokens a selector means, and those of them that one pass has.</summary>
internal sealed class TokenRule
{
    private readonly ActivationSelector _selector;
    private readonly IReadOnlyList<int>? _rows;
    private readonly HashSet<int> _positions;
    private readonly HashSet<int> _tokenIds;
    private readonly IReadOnlyList<HashSet<int>>? _texts;
    private readonly IReadOnlyList<int>? _textStarts;

    /// <param name="selector">The selector, checked.</param>
    /// <param name="texts">For each row of the prompts the positions of the selector's texts; null where they are not known, and not in this pass.</param>
    /// <param name="textStarts">For each row of the prompts where what <see cref="ActivationSelector.FromText"/> means begins; null where there is none.</param>
    public TokenRule(ActivationSelector selector, IReadOnlyList<HashSet<int>>? texts = null, IReadOnlyList<int>? textStarts = null)
    {
        (_selector, _texts, _textStarts) = (selector, texts, textStarts);
        _rows = selector.Rows.Count == 0 ? null : selector.Rows;
        _positions = [.. selector.Positions];
        _tokenIds = [.. selector.TokenIds];
    }

    /// <summary>Whether nothing but <see cref="ActivationSelector.Positions"/> names tokens, so that values by position have fixed places.</summary>
    public bool HasFixedPlaces => _selector.Positions.Count > 0 && !NamesMore && !IsNarrowed;

    private bool NamesMore => _selector.PositionRanges.Count > 0 || _selector.TokenIds.Count > 0 || _selector.Texts.Count > 0;

    private bool IsNarrowed => _selector.From is not null || _selector.FromText is not null;

    /// <summary>Whether it may mean a token beyond the first so many.</summary>
    public bool MayDecode(int promptLength)
    {
        if (_selector.Phase == GenerationPhase.Prefill) return false;
        if (_selector.Positions.Count == 0 && !NamesMore) return true;
        return _selector.TokenIds.Count > 0
            || _selector.Positions.Any(position => position == -1 || position >= promptLength)
            || _selector.PositionRanges.Any(range => range.Last is not { } last || last == -1 || last >= promptLength);
    }

    /// <summary>The tokens that a pass has of it.</summary>
    /// <param name="batch">The tokens of the pass: whole rows, or the one new token of each.</param>
    /// <param name="at">The step; null for whole rows.</param>
    public TokenSelection Select(TokenBatch batch, StepPosition? at)
    {
        int past = at?.Past ?? 0;
        bool isActive = at is { } step
            ? _selector.Phase != GenerationPhase.Prefill && _selector.Steps?.Contains(step.Step, int.MaxValue) != false
            : _selector.Phase != GenerationPhase.Decode && _selector.Steps is null;
        IReadOnlyList<int> rows = _rows ?? [.. Enumerable.Range(0, batch.Count)];
        if (!isActive) return new TokenSelection(batch.Lengths, rows, [.. rows.Select(_ => Array.Empty<int>())]) { Past = past, FirstRow = batch.FirstRow };
        if (_selector.Positions.Count == 0 && !NamesMore && !IsNarrowed) return new TokenSelection(batch.Lengths, _rows) { Past = past, FirstRow = batch.FirstRow };
        return HasFixedPlaces
            ? InOrder(batch, rows, past)
            : new TokenSelection(batch.Lengths, rows, [.. rows.Select(row => Ascending(batch, row, past))]) { Past = past, FirstRow = batch.FirstRow };
    }

    private TokenSelection InOrder(TokenBatch batch, IReadOnlyList<int> rows, int past)
    {
        Dictionary<int, (int[] Indices, int[] Places)> byLength = [];
        (int[] Indices, int[] Places)[] tokens = [.. rows.Select(row =>
        {
            int length = batch.Lengths[row];
            if (byLength.TryGetValue(length, out (int[], int[]) known)) return known;
            (int Index, int Place)[] present = [.. _selector.Positions
                .Select((position, place) => (Index: IndexRange.FromStart(position, past + length) - past, Place: place))
                .Where(token => (uint)token.Index < (uint)length)];
            return byLength[length] = ([.. present.Select(token => token.Index)], [.. present.Select(token => token.Place)]);
        })];
        return new TokenSelection(batch.Lengths, rows, [.. tokens.Select(row => row.Indices)], [.. tokens.Select(row => row.Places)], _selector.Positions.Count) { Past = past, FirstRow = batch.FirstRow };
    }

    private int[] Ascending(TokenBatch batch, int row, int past)
    {
        int length = past + batch.Lengths[row];
        int start = Math.Max(_selector.From is { } from ? IndexRange.FromStart(from, length) : 0, _textStarts?[row] ?? 0);
        return [.. Enumerable.Range(0, batch.Lengths[row]).Where(index => past + index >= start && IsNamed(past + index, length, row, batch.Rows[row][index]))];
    }

    private bool IsNamed(int position, int length, int row, int token) =>
        (_selector.Positions.Count == 0 && !NamesMore)
        || _positions.Contains(position)
        || _positions.Contains(position - length)
        || _tokenIds.Contains(token)
        || _texts?[row].Contains(position) == true
        || _selector.PositionRanges.Any(range => range.Contains(position, length));
}
