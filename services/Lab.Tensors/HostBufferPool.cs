using System.Runtime.InteropServices;

namespace Lab.Tensors;

/// <summary>
/// Keeps the memory of large tensors that have been sent for the next of exactly the same size, as activations of one model recur.
/// Fresh pages must be cleared by the kernel, which costs more than the copy into them. What nobody takes for a while is let go, so an
/// idle service holds nothing. Memory that is never given back is collected like any other. Thread-safe.
/// </summary>
/// <param name="time">Measures idleness.</param>
/// <param name="capacity">The most bytes to keep.</param>
/// <param name="idle">How long a buffer is kept at least, and twice as long at most.</param>
public sealed class HostBufferPool(TimeProvider time, long capacity, TimeSpan idle)
{
    /// <summary>Smaller buffers are not kept: the collector serves them as well.</summary>
    public const int SmallestBytes = 1 << 20;

    private readonly Lock _gate = new();
    private readonly Dictionary<int, Stack<(byte[] Buffer, long Sweep)>> _bySize = [];
    private ITimer? _timer;
    private long _sweep;

    /// <summary>The pool of this process: at most 1 GiB, for 5 seconds.</summary>
    public static HostBufferPool Shared { get; } = new(TimeProvider.System, 1L << 30, TimeSpan.FromSeconds(5));

    /// <summary>Bytes that are kept now.</summary>
    public long KeptBytes { get; private set; }

    /// <summary>A buffer of exactly this many bytes, of any content.</summary>
    /// <param name="byteCount">Its length.</param>
    public byte[] Rent(int byteCount)
    {
        lock (_gate)
        {
            if (_bySize.TryGetValue(byteCount, out Stack<(byte[] Buffer, long Sweep)>? kept) && kept.TryPop(out (byte[] Buffer, long Sweep) last))
            {
                KeptBytes -= byteCount;
                return last.Buffer;
            }
        }

        return GC.AllocateUninitializedArray<byte>(byteCount);
    }

    /// <summary>Takes a tensor's memory back. Nobody may read the tensor any more.</summary>
    /// <param name="tensor">The tensor; nothing happens if its memory is no whole array.</param>
    public void Return(HostTensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (tensor.Data.Length < SmallestBytes || !MemoryMarshal.TryGetArray(tensor.Data, out ArraySegment<byte> segment) || segment.Array!.Length != segment.Count) return;
        lock (_gate)
        {
            if (KeptBytes + segment.Count > capacity) return;
            KeptBytes += segment.Count;
            (CollectionsMarshal.GetValueRefOrAddDefault(_bySize, segment.Count, out _) ??= new()).Push((segment.Array, _sweep));
            _timer ??= time.CreateTimer(_ => Sweep(), null, idle, idle);
        }
    }

    /// <summary>Lets go of what has been kept since before the last sweep.</summary>
    private void Sweep()
    {
        lock (_gate)
        {
            foreach ((int size, Stack<(byte[] Buffer, long Sweep)> kept) in _bySize.ToArray())
            {
                // The oldest lie at the bottom.
                (byte[] Buffer, long Sweep)[] young = [.. kept.TakeWhile(entry => entry.Sweep == _sweep).Reverse()];
                KeptBytes -= (long)size * (kept.Count - young.Length);
                if (young.Length == 0) _bySize.Remove(size);
                else _bySize[size] = new(young);
            }

            _sweep++;
            if (_bySize.Count > 0) return;
            _timer?.Dispose();
            _timer = null;
        }
    }
}
