using Lab.Models;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Testing;

/// <summary>Records the activations at hooks, and may put a tensor in the place of one.</summary>
/// <param name="hooks">The names of the hooks to record; null for all.</param>
/// <param name="replacement">A tensor that replaces the activation at the hook of its name, broadcast to the activation's shape.</param>
public sealed class RecordingTap(IReadOnlyCollection<string>? hooks = null, HostTensor? replacement = null) : IActivationTap
{
    private readonly List<HostTensor> _tensors = [];

    /// <summary>What was recorded, in the order of the pass.</summary>
    public IReadOnlyList<HostTensor> Tensors => _tensors;

    /// <summary>What was recorded at a hook.</summary>
    public HostTensor this[string hook] => _tensors.Single(tensor => tensor.Name == hook);

    /// <inheritdoc/>
    public bool Wants(HookPoint hook) => Records(hook) || hook.Name == replacement?.Name;

    /// <inheritdoc/>
    public Tensor At(HookPoint hook, Tensor x)
    {
        Tensor value = hook.Name == replacement?.Name ? replacement.ToTorch().expand(x.shape) : x;
        if (Records(hook)) _tensors.Add(value.ToHost(hook.Name));
        return value;
    }

    private bool Records(HookPoint hook) => hooks is null || hooks.Contains(hook.Name);
}
