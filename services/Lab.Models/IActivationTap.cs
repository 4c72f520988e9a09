using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>
/// Reads and changes activations during one forward pass. Passed into the pass, so that nothing is registered on the model
/// and concurrent passes cannot meet.
/// </summary>
public interface IActivationTap
{
    /// <summary>Whether <see cref="At"/> is to be called for this hook. Some activations are computed only if it is.</summary>
    bool Wants(HookPoint hook);

    /// <summary>Sees the activation at a hook. Called on the worker's thread, inside of the pass's dispose scope.</summary>
    /// <param name="hook">Where.</param>
    /// <param name="x">The activation. Dies with the pass: what is to outlive it must be copied or moved out of the scope.</param>
    /// <returns><paramref name="x"/> itself, or a tensor of equal shape to go on with.</returns>
    Tensor At(HookPoint hook, Tensor x);
}
