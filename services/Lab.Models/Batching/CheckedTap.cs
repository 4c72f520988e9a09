using static TorchSharp.torch;

namespace Lab.Models.Batching;

/// <summary>Calls a check at every hook, before the tap of the only member of a pass.</summary>
internal sealed class CheckedTap(IActivationTap? tap, Action check) : IActivationTap
{
    public bool Wants(HookPoint hook)
    {
        // The pass asks this at every hook, wanted or not: the one place that sees all of them.
        check();
        return tap is not null && tap.Wants(hook);
    }

    public Tensor At(HookPoint hook, Tensor x) => tap!.At(hook, x);
}
