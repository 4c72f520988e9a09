using Lab.Models.Interventions;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Batching;

/// <summary>
/// Several members' rows in one forward pass, so that the weights are read once. Each member's result is that of its own pass: rows
/// do not meet in the model, padding is behind what causal attention sees, and taps and edits get the member's own part only.
/// </summary>
public static class CoBatch
{
    /// <summary>
    /// Whether a request may share a pass. One that changes what single heads read or write may not: from there the whole pass goes
    /// head by head, past what others change on the common way.
    /// </summary>
    public static bool CanShare(ForwardPlan plan) =>
        !plan.Interventions.Any(one => one.Selections.Any(selection => selection.Hook.IsOnRequest && !selection.Hook.Dimensions.Contains(HookDimension.KeyPos)));

    /// <summary>
    /// Whether a request needs attention step by step, with a score for every pair of tokens. It should not share a pass with one that
    /// does not.
    /// </summary>
    public static bool NeedsScores(ForwardPlan plan) =>
        plan.Captures.Concat(plan.Interventions.SelectMany(one => one.Selections)).Any(selection => selection.Hook.Dimensions.Contains(HookDimension.KeyPos));

    /// <summary>Runs the pass.</summary>
    /// <param name="model">The model.</param>
    /// <param name="members">At least one. A single one is run as it is.</param>
    /// <returns>
    /// For each member its logits, in the caller's dispose scope: [rows, pos, d_vocab] of its own length, or [tokens, d_vocab] where
    /// tokens are named; null for none and for a member that ended (<see cref="PassMember.Failure"/>). They may be views of one tensor.
    /// </returns>
    /// <exception cref="ArgumentException">A row with what it has seen before is longer than n_ctx, or only some members have caches.</exception>
    public static IReadOnlyList<Tensor?> Forward(Transformer model, IReadOnlyList<PassMember> members)
    {
        if (members.Count == 1) return [Alone(model, members[0])];
        bool hasCaches = members[0].Caches is not null;
        if (members.Any(member => (member.Caches is not null) != hasCaches)) throw new ArgumentException("Either all members have caches or none.", nameof(members));

        using var scope = NewDisposeScope();
        MemberRows[] rows = Place(members);
        int length = members.Max(member => member.Length);
        bool isWhole = members.All(member => member.Logits.Tokens is null && member.Length == length);
        ForwardInput input = new(Ids([.. members.SelectMany(member => member.Rows)], length, model.Device))
        {
            Caches = hasCaches ? [.. members.SelectMany(member => member.Caches!)] : null,
            Lengths = hasCaches ? [.. members.SelectMany(member => member.Rows, (_, ids) => ids.Length)] : null,
            Logits = isWhole ? LogitSelection.All : new LogitSelection([.. rows.SelectMany(own => own.Tokens(length))]),
            Edits = members.Any(member => member.Edits is not null) ? new CoBatchEdits(rows) : null,
        };
        bool isIdle = members.All(member => member.Tap is null && member.Check is null);
        try
        {
            return Split(model.Forward(input, isIdle ? null : new CoBatchTap(rows)), rows, isWhole, length);
        }
        catch (EmptyPassException)
        {
            return new Tensor?[members.Count];
        }
    }

    private static Tensor? Alone(Transformer model, PassMember member)
    {
        using var scope = NewDisposeScope();
        ForwardInput input = new(Ids(member.Rows, member.Length, model.Device))
        {
            Caches = member.Caches,
            Lengths = member.Caches is null ? null : [.. member.Rows.Select(ids => ids.Length)],
            Logits = member.Logits,
            Edits = member.Edits,
            StopAtLayer = member.StopAtLayer,
        };
        return model.Forward(input, member.Check is null ? member.Tap : new CheckedTap(member.Tap, member.Check))?.MoveToOuterDisposeScope();
    }

    private static MemberRows[] Place(IReadOnlyList<PassMember> members)
    {
        MemberRows[] placed = new MemberRows[members.Count];
        int first = 0;
        for (int i = 0; i < placed.Length; i++)
        {
            placed[i] = new MemberRows(members[i], first);
            first += members[i].Rows.Count;
        }

        return placed;
    }

    private static Tensor?[] Split(Tensor? logits, MemberRows[] rows, bool isWhole, int length)
    {
        Tensor?[] split = new Tensor?[rows.Length];
        long next = 0;
        for (int i = 0; i < rows.Length; i++)
        {
            PassMember member = rows[i].Member;
            long count = member.Logits.Tokens?.Count ?? ((long)member.Rows.Count * member.Length);
            if (logits is not null && count > 0 && rows[i].IsIn)
            {
                Tensor own = isWhole ? rows[i].Of(logits).alias() : logits.narrow(0, next, count);   // (N, V)
                if (!isWhole && member.Logits.Tokens is null) own = own.view(member.Rows.Count, member.Length, -1);
                split[i] = own.MoveToOuterDisposeScope();
            }

            next += count;
        }

        return split;
    }

    /// <summary>Token IDs [rows, pos], int64, padded with token 0.</summary>
    private static Tensor Ids(IReadOnlyList<int[]> rows, int length, Device device)
    {
        long[] ids = new long[(long)rows.Count * length];
        for (int row = 0; row < rows.Count; row++)
        {
            for (int i = 0; i < rows[row].Length; i++) ids[((long)row * length) + i] = rows[row][i];
        }

        return tensor(ids, rows.Count, length, device: device);
    }
}
