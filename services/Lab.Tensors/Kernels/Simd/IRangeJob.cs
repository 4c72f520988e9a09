namespace Lab.Tensors.Kernels.Simd;

/// <summary>A loop whose iterations may run on several threads. A struct, so that starting one allocates nothing.</summary>
internal interface IRangeJob
{
    /// <summary>Does the iterations from <paramref name="from"/> up to but not including <paramref name="to"/>.</summary>
    /// <param name="from">First iteration.</param>
    /// <param name="to">End.</param>
    /// <param name="worker">Which thread this is: 0 to <see cref="HostThreads.Count"/> - 1. Two ranges with one number never run at the same time.</param>
    void Run(int from, int to, int worker);
}
