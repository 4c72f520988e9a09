using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Interventions;

/// <summary>
/// Applies weight edits during one pass: adds to what each parameter gives what its deltas would give, for the edits' own tokens. Used
/// by one pass, on the model's thread.
/// </summary>
public sealed class WeightEdits : IWeightEdits
{
    private readonly ILookup<string, ResolvedWeightEdit> _byParameter;
    private readonly IReadOnlyList<ResolvedWeightEdit> _edits;
    private readonly int _rows;
    private readonly bool _hasTwin;
    private readonly bool[] _isFired;

    /// <summary>Edits for one pass over one batch.</summary>
    /// <param name="edits">The edits, resolved for the batch.</param>
    /// <param name="rows">Rows of the batch, the twin's not counted.</param>
    /// <param name="hasTwin">Whether the pass has the rows twice, [clean rows; changed rows]: then the edits hold for the second half.</param>
    public WeightEdits(IReadOnlyList<ResolvedWeightEdit> edits, int rows, bool hasTwin = false)
    {
        (_edits, _rows, _hasTwin) = (edits, rows, hasTwin);
        _byParameter = edits.Where(edit => edit.TokenCount > 0).ToLookup(edit => edit.Role.Name);
        _isFired = new bool[edits.Count];
    }

    /// <summary>For each edit, to how many tokens it applied.</summary>
    public IReadOnlyList<int> FireCounts => [.. _edits.Select((edit, i) => _isFired[i] ? edit.TokenCount : 0)];

    /// <inheritdoc/>
    public bool Touches(string parameter) => _byParameter.Contains(parameter);

    /// <inheritdoc/>
    public Tensor Linear(string parameter, Tensor x, Tensor y) => Add(parameter, y, (edit, index) =>
    {
        Tensor? delta = null;
        if (edit.Source.LowRank is { } low)
        {
            Tensor read = Wide(Pick(x, index));                                                     // (N, in)
            delta = read.matmul(Value(low.A, read).t()).matmul(Value(low.B, read).t());             // (N, out)
        }

        if (edit.Source.Bias is not { } bias) return delta!;
        Tensor added = Value(bias, Wide(y));
        return delta is null ? added : delta + added;
    });

    /// <inheritdoc/>
    public Tensor Vector(string parameter, Tensor? factor, Tensor y) => Add(parameter, y, (edit, index) =>
    {
        Tensor delta = Value(edit.Source.Bias!, Wide(y));
        return factor is null ? delta : Wide(Pick(factor, index)) * delta;
    });

    /// <inheritdoc/>
    public Tensor Lookup(string parameter, Tensor ids, Tensor y) => Add(parameter, y, (edit, index) =>
    {
        LowRankDelta low = edit.Source.LowRank!;
        Tensor wide = Wide(y);
        return Value(low.B, wide).index_select(0, Pick(ids, index)).matmul(Value(low.A, wide));      // (N, C)
    });

    private static Tensor Wide(Tensor x) => x.dtype is ScalarType.BFloat16 or ScalarType.Float16 ? x.to(ScalarType.Float32) : x;

    private static Tensor Value(HostTensor value, Tensor like) => value.ToTorch(like.device).to(like.dtype);

    private static Tensor Pick(Tensor x, Tensor? index) => index is null ? x.flatten(0, 1) : x.flatten(0, 1).index_select(0, index);

    /// <summary>Adds what the edits of a parameter give, each at its own tokens.</summary>
    /// <param name="parameter">The parameter.</param>
    /// <param name="y">[rows, pos, ..., channels].</param>
    /// <param name="deltaOf">From an edit and its tokens in the flattened batch (null for all) to [tokens, ..., channels], or what broadcasts to it.</param>
    private Tensor Add(string parameter, Tensor y, Func<ResolvedWeightEdit, Tensor?, Tensor> deltaOf)
    {
        using var scope = NewDisposeScope();
        Tensor sum = y.flatten(0, 1);
        foreach (ResolvedWeightEdit edit in _byParameter[parameter])
        {
            Tensor? index = IndexOf(edit.Tokens, y);
            Tensor delta = deltaOf(edit, index) * edit.Source.Coefficient;
            if (index is null) sum = sum + delta.to(sum.dtype);
            else sum = sum.index_add(0, index, delta.to(sum.dtype).expand([index.shape[0], .. sum.shape[1..]]), 1);
            for (int i = 0; i < _edits.Count; i++) _isFired[i] |= ReferenceEquals(_edits[i], edit);
        }

        return sum.view(y.shape).MoveToOuterDisposeScope();
    }

    /// <summary>The tokens in the flattened batch; null for all of them.</summary>
    private Tensor? IndexOf(TokenSelection tokens, Tensor y)
    {
        if (!_hasTwin && tokens is { IsWhole: true, IsComplete: true }) return null;
        long first = _hasTwin ? _rows * y.shape[1] : 0;
        return tensor([.. tokens.PresentTokens().Tokens.Select(token => first + token)], device: y.device);
    }
}
