using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Batching;

/// <summary>Shows each member's tap the member's own part of every activation, and puts what it changed in its place.</summary>
internal sealed class CoBatchTap(IReadOnlyList<MemberRows> members) : IActivationTap
{
    public bool Wants(HookPoint hook)
    {
        bool isWanted = false, isAnyIn = false;
        foreach (MemberRows rows in members)
        {
            PassMember member = rows.Member;
            if (member.Check is { } check && !rows.Try(check)) continue;
            if (!rows.IsIn) continue;
            isAnyIn = true;
            isWanted |= member.Tap is { } tap && tap.Wants(hook);
        }

        return isAnyIn ? isWanted : throw new EmptyPassException();
    }

    public Tensor At(HookPoint hook, Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor? changed = null;
        foreach (MemberRows rows in members)
        {
            if (!rows.IsIn || rows.Member.Tap is not { } tap || !tap.Wants(hook)) continue;
            rows.Try(() =>
            {
                Tensor own = rows.Of(hook, x), seen = tap.At(hook, own);
                if (ReferenceEquals(seen, own)) return;
                rows.Of(hook, changed ??= x.clone()).copy_(seen);
            });
        }

        return changed is null ? x : changed.MoveToOuterDisposeScope();
    }
}
