using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Interventions;

/// <summary>Copies selected activations to host memory during one pass.</summary>
public sealed class CaptureTap : IActivationTap
{
    private readonly ILookup<int, ResolvedSelection> _byHook;
    private readonly TensorDataType _type;
    private readonly Action<HostTensor> _send;
    private readonly bool _hasTwin;
    private readonly List<HostTensor> _tensors = [];

    /// <summary>A tap for one pass.</summary>
    /// <param name="captures">What to copy, resolved for the batch.</param>
    /// <param name="type">The type of the copies.</param>
    /// <param name="send">Gets each copy as soon as it is made, during the pass; by default they are kept in <see cref="Tensors"/>.</param>
    /// <param name="hasTwin">Whether the pass has the rows twice, [clean rows; changed rows]: then the second half is copied.</param>
    public CaptureTap(IReadOnlyList<ResolvedSelection> captures, TensorDataType type = TensorDataType.Float32, Action<HostTensor>? send = null, bool hasTwin = false)
    {
        _send = send ?? _tensors.Add;
        _byHook = captures.ToLookup(selection => selection.Hook.Index);
        (_type, _hasTwin) = (type, hasTwin);
    }

    /// <summary>The copies so far that were kept, by the hooks' canonical names, in the order of the forward pass.</summary>
    public IReadOnlyList<HostTensor> Tensors => _tensors;

    /// <inheritdoc/>
    public bool Wants(HookPoint hook) => _byHook.Contains(hook.Index);

    /// <inheritdoc/>
    /// <exception cref="NonFiniteActivationException">An element is not finite. Scores above the diagonal are minus infinity by nature.</exception>
    public Tensor At(HookPoint hook, Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor own = _hasTwin ? x.narrow(0, x.shape[0] / 2, x.shape[0] / 2) : x;
        foreach (ResolvedSelection selection in _byHook[hook.Index])
        {
            if (hook.IsAttention) FiniteCheck.Require(selection.Gather(selection.ZeroUnseen(own)).ToHost(hook.Name, _type));
            Tensor chosen = selection.Gather(own);
            _send(hook.IsAttention ? chosen.ToHost(hook.Name, _type) : chosen.ToFiniteHost(hook.Name, _type));
        }

        return x;
    }
}
