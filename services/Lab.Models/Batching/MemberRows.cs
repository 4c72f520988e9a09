using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Batching;

/// <summary>Where a member's rows are in the shared pass.</summary>
/// <param name="member">The member.</param>
/// <param name="first">Its first row.</param>
internal sealed class MemberRows(PassMember member, int first)
{
    private readonly int _keys = member.Rows.Select((ids, row) => ids.Length + (member.Caches?[row].Length ?? 0)).Max();

    public PassMember Member => member;

    /// <summary>Whether nothing ended it.</summary>
    public bool IsIn => member.Failure is null;

    /// <summary>The member's part of [rows, pos, ...], of its own length.</summary>
    public Tensor Of(Tensor x) => Narrow(Narrow(x, 0, first, member.Rows.Count), 1, 0, member.Length);

    /// <summary>The member's part of an activation: of attention its own queries and keys.</summary>
    public Tensor Of(HookPoint hook, Tensor x) => hook.Dimensions[^1] == HookDimension.KeyPos
        ? Narrow(Narrow(Narrow(x, 0, first, member.Rows.Count), 2, 0, member.Length), 3, 0, _keys)
        : Of(x);

    /// <summary>The member's wanted logits as indices into the shared batch flattened to [rows x pos].</summary>
    /// <param name="length">Positions of the shared batch.</param>
    public IEnumerable<long> Tokens(int length)
    {
        IEnumerable<long> own = member.Logits.Tokens ?? Enumerable.Range(0, member.Rows.Count * member.Length).Select(token => (long)token);
        return own.Select(token => ((first + (token / member.Length)) * length) + (token % member.Length));
    }

    /// <summary>Does something for the member. What it throws ends the member, not the pass: who asked for the member gets it.</summary>
    /// <returns>Whether the member is still in.</returns>
    public bool Try(Action work)
    {
        if (!IsIn) return false;
        try
        {
            work();
        }
        catch (Exception e)
        {
            member.Failure = e;
        }

        return IsIn;
    }

    private static Tensor Narrow(Tensor x, long dimension, long start, long count) =>
        start == 0 && x.shape[dimension] == count ? x : x.narrow(dimension, start, count);
}
