using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Batching;

/// <summary>Applies each member's weight edits to the member's own rows.</summary>
internal sealed class CoBatchEdits(IReadOnlyList<MemberRows> members) : IWeightEdits
{
    public bool Touches(string parameter)
    {
        foreach (MemberRows rows in members)
        {
            if (Touches(rows, parameter)) return true;
        }

        return false;
    }

    public Tensor Linear(string parameter, Tensor x, Tensor y) =>
        Apply(parameter, y, (rows, edits, own) => edits.Linear(parameter, rows.Of(x), own));

    public Tensor Vector(string parameter, Tensor? factor, Tensor y) =>
        Apply(parameter, y, (rows, edits, own) => edits.Vector(parameter, factor is null ? null : rows.Of(factor), own));

    public Tensor Lookup(string parameter, Tensor ids, Tensor y) =>
        Apply(parameter, y, (rows, edits, own) => edits.Lookup(parameter, rows.Of(ids), own));

    private Tensor Apply(string parameter, Tensor y, Func<MemberRows, IWeightEdits, Tensor, Tensor> edit)
    {
        using var scope = NewDisposeScope();
        Tensor? edited = null;
        foreach (MemberRows rows in members)
        {
            if (!Touches(rows, parameter)) continue;
            rows.Try(() =>
            {
                Tensor own = rows.Of(y), result = edit(rows, rows.Member.Edits!, own);
                if (ReferenceEquals(result, own)) return;
                rows.Of(edited ??= y.clone()).copy_(result);
            });
        }

        return edited is null ? y : edited.MoveToOuterDisposeScope();
    }

    private static bool Touches(MemberRows rows, string parameter) => rows.IsIn && rows.Member.Edits is { } edits && edits.Touches(parameter);
}
