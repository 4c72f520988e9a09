using static TorchSharp.torch;

namespace Lab.Models.Diffs;

/// <summary>Applies weight edits, and tells which tokens they changed.</summary>
/// <param name="edits">Those of the second half.</param>
/// <param name="touched">Gets the tokens.</param>
internal sealed class TrackedEdits(IWeightEdits edits, TouchedTokens touched) : IWeightEdits
{
    public bool Touches(string parameter) => edits.Touches(parameter);

    public Tensor Linear(string parameter, Tensor x, Tensor y) => Tracked(y, edits.Linear(parameter, x, y));

    public Tensor Vector(string parameter, Tensor? factor, Tensor y) => Tracked(y, edits.Vector(parameter, factor, y));

    public Tensor Lookup(string parameter, Tensor ids, Tensor y) => Tracked(y, edits.Lookup(parameter, ids, y));

    private Tensor Tracked(Tensor before, Tensor after)
    {
        touched.Add(before, after, isAttention: false);
        return after;
    }
}
