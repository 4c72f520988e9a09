namespace Lab.Tensors.Kernels;

/// <summary>
/// Memory that kernels need only while they run. Each thread that calls kernels keeps the largest it ever needed, so steady
/// state allocates nothing. Contents are undefined at each request.
/// </summary>
internal sealed unsafe class Scratch
{
    private const int LineFloats = 16;

    [ThreadStatic]
    private static Scratch? _ofThread;

    private ulong[] _words = [];
    private uint[] _buckets = [];
    private uint[] _lowerBuckets = [];
    private int[] _largest = [];
    private int[] _ofNeurons = [];
    private double[] _sums = [];
    private float[] _floats = [];

    public static Scratch OfThread => _ofThread ??= new Scratch();

    /// <summary>Bitsets.</summary>
    public ulong* Words(long count) => Room(ref _words, count);

    /// <summary>The first count of magnitudes.</summary>
    public uint* Buckets(long count) => Room(ref _buckets, count);

    /// <summary>Later counts of magnitudes.</summary>
    public uint* LowerBuckets(long count) => Room(ref _lowerBuckets, count);

    /// <summary>The largest magnitudes of neurons.</summary>
    public int* Largest(long count) => Room(ref _largest, count);

    /// <summary>One number for each neuron.</summary>
    public int* OfNeurons(long count) => Room(ref _ofNeurons, count);

    /// <summary>Partial sums.</summary>
    public double* Sums(long count) => Room(ref _sums, count);

    /// <summary>Floats, from the beginning of a cache line on.</summary>
    public float* Floats(long count)
    {
        nuint address = (nuint)Room(ref _floats, count + LineFloats);
        return (float*)((address + (LineFloats * sizeof(float)) - 1) & ~((nuint)(LineFloats * sizeof(float)) - 1));
    }

    private static T* Room<T>(ref T[] array, long count)
        where T : unmanaged
    {
        // Pinned, so that the address stays.
        if (array.Length < count) array = GC.AllocateUninitializedArray<T>(checked((int)count), pinned: true);
        return (T*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref System.Runtime.InteropServices.MemoryMarshal.GetArrayDataReference(array));
    }
}
