namespace Lab.Tensors.Kernels;

/// <summary>Which instructions the sparse kernels use. Results do not depend on it by a bit.</summary>
internal enum SparseMatrixInstructions
{
    /// <summary>No vectors.</summary>
    Scalar,

    /// <summary>8 lanes.</summary>
    Avx2,

    /// <summary>16 lanes.</summary>
    Avx512,
}
