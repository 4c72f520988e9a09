namespace Lab.Tensors.Kernels;

/// <summary>Memory that a kernel needs only while it runs. Each thread keeps the largest it ever needed, so steady state allocates nothing.</summary>
internal static class Scratch
{
    [ThreadStatic]
    private static ulong[]? _words;

    /// <summary>At least this many words, of undefined content, until this thread asks again.</summary>
    public static ulong[] Words(long count)
    {
        if (_words is null || _words.Length < count) _words = GC.AllocateUninitializedArray<ulong>((int)Math.Max(count, 64));
        return _words;
    }
}
