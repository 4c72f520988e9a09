using TorchSharp;
using static TorchSharp.torch;

namespace Lab.Models.Diffs;

/// <summary>
/// Which tokens of the changed rows may differ from the clean ones: those that a change changed by a bit, and all behind them. The
/// others are one computation done twice, of which libraries make rounding differences that depend on the place in the batch; AbsTopK
/// can make large ones of those. So they are put back to the clean rows' values wherever that costs nothing.
/// </summary>
/// <param name="rows">Rows of the batch, once.</param>
/// <param name="length">Positions of the batch.</param>
/// <param name="device">Where the activations are.</param>
internal sealed class TouchedTokens(int rows, int length, Device device) : IDisposable
{
    private Tensor _mask = zeros(rows, length, dtype: ScalarType.Bool, device: device).DetachFromDisposeScope();

    /// <summary>Activations [2 x rows, pos, ...], or of attention [2 x rows, head, pos, key], with what is untouched equal in both halves.</summary>
    public Tensor Restore(Tensor x, bool isAttention)
    {
        using var scope = NewDisposeScope();
        Tensor clean = x.narrow(0, 0, rows);
        return cat([clean, where(Like(x, isAttention), x.narrow(0, rows, rows), clean)], 0).MoveToOuterDisposeScope();
    }

    /// <summary>A difference [rows, pos, ...], zero where nothing is touched.</summary>
    public Tensor Masked(Tensor delta, bool isAttention) => where(Like(delta, isAttention), delta, zeros_like(delta));

    /// <summary>Takes in what a change made of the second half.</summary>
    /// <param name="before">[2 x rows, pos, ...], or of attention [2 x rows, head, pos, key].</param>
    /// <param name="after">The same after the change.</param>
    /// <param name="isAttention">Whether it is attention.</param>
    public void Add(Tensor before, Tensor after, bool isAttention)
    {
        if (ReferenceEquals(before, after)) return;
        using var scope = NewDisposeScope();
        Tensor changed = before.narrow(0, rows, rows).ne(after.narrow(0, rows, rows));
        if (isAttention) changed = changed.transpose(1, 2);
        Tensor behind = changed.flatten(2).any(-1).to(ScalarType.Int64).cumsum(1) > 0;               // (R, T)
        Tensor mask = _mask.logical_or(behind).DetachFromDisposeScope();
        _mask.Dispose();
        _mask = mask;
    }

    /// <summary>[rows x pos], in host memory.</summary>
    public bool[] ToHost() => _mask.cpu().data<bool>().ToArray();

    /// <inheritdoc/>
    public void Dispose() => _mask.Dispose();

    private Tensor Like(Tensor x, bool isAttention) => isAttention
        ? _mask.view(rows, 1, length, 1)
        : _mask.view([rows, length, .. Enumerable.Repeat(1L, (int)x.dim() - 2)]);
}
