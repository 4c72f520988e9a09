using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>Where the new tokens of one pass stand in their sequences.</summary>
internal sealed class PassPositions
{
    private readonly Device _device;
    private readonly long[] _past;
    private readonly long _rows;
    private readonly long _length;
    private readonly Dictionary<RotaryConfig, (Tensor Cos, Tensor Sin)> _rotations = [];
    private readonly ScalarType _type;
    private readonly int _dHead;

    public PassPositions(Transformer model, ForwardInput input)
    {
        (_device, _type, _dHead) = (model.Device, model.ScalarType, model.Config.DHead);
        (_rows, _length) = (input.Ids.shape[0], input.Ids.shape[1]);
        _past = input.Caches is null ? [] : [.. input.Caches.Select(cache => (long)cache.Length)];
        IsUniform = _past.Length == 0 || Array.TrueForAll(_past, past => past == _past[0]);
    }

    /// <summary>Whether all rows begin at the same position.</summary>
    public bool IsUniform { get; }

    /// <summary>The first row's first position.</summary>
    public long First => _past.Length == 0 ? 0 : _past[0];

    /// <summary>[rows, pos], or [1, pos] where all rows agree.</summary>
    private Tensor Compact => IsUniform
        ? arange(First, First + _length, device: _device).unsqueeze(0)
        : tensor(_past, device: _device).unsqueeze(1) + arange(_length, device: _device).unsqueeze(0);

    /// <summary>[rows, pos], int64.</summary>
    public Tensor Indices => Compact.expand(_rows, -1);

    /// <summary>Rotates queries or keys by their positions.</summary>
    /// <param name="x">[rows, pos, head, d_head].</param>
    /// <param name="rotary">The frequencies.</param>
    public Tensor Rotate(Tensor x, RotaryConfig rotary)
    {
        (Tensor cos, Tensor sin) = Rotation(rotary);                                                // (B, T, 1, D/2)
        Tensor[] halves = x.chunk(2, -1);
        return cat([(halves[0] * cos) - (halves[1] * sin), (halves[1] * cos) + (halves[0] * sin)], -1);
    }

    /// <summary>Angles are in FP64: position times frequency has too many digits for FP32 in long contexts.</summary>
    private (Tensor Cos, Tensor Sin) Rotation(RotaryConfig rotary)
    {
        if (_rotations.TryGetValue(rotary, out (Tensor Cos, Tensor Sin) known)) return known;
        Tensor frequencies = tensor(rotary.Frequencies(_dHead), ScalarType.Float64, _device);
        Tensor angles = (Compact.to(ScalarType.Float64).unsqueeze(-1) * frequencies).unsqueeze(2);
        // The layers share them, so they must outlive the layer's scope that first asks.
        (Tensor Cos, Tensor Sin) made = (angles.cos().to(_type).MoveToOuterDisposeScope(), angles.sin().to(_type).MoveToOuterDisposeScope());
        _rotations.Add(rotary, made);
        return made;
    }
}
