using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

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

/// <summary>The vector operations that the sparse kernels are written in.</summary>
internal unsafe interface ISparseMatrixLanes<TVector>
    where TVector : struct
{
    /// <summary>Floats in a vector.</summary>
    static abstract int Count { get; }

    static abstract TVector Load(float* source);

    static abstract TVector Broadcast(float value);

    static abstract void Store(float* target, TVector vector);

    /// <summary>a b + c, rounded once.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector c);

    /// <summary>Which of the Count values from <paramref name="source"/> on are not zero: bit i for value i.</summary>
    static abstract uint Nonzeros(float* source);

    /// <summary>Writes a tile of Count x Count the other way round.</summary>
    static abstract void Transpose(float* source, nint sourceStride, float* target, nint targetStride);
}

/// <summary>AVX-512.</summary>
internal readonly unsafe struct SparseMatrixLanes512 : ISparseMatrixLanes<Vector512<float>>
{
    public static int Count => Vector512<float>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* source) => Vector512.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Broadcast(float value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float* target, Vector512<float> vector) => vector.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) => Avx512F.FusedMultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Nonzeros(float* source) => ~(uint)Vector512.Equals(Vector512.Load(source), Vector512<float>.Zero).ExtractMostSignificantBits() & 0xFFFF;

    public static void Transpose(float* source, nint sourceStride, float* target, nint targetStride)
    {
        // Four columns at a time: lane l of a vector holds them for row 4 l + i, so that a 4 x 4 transpose inside of the lanes is all.
        for (int quad = 0; quad < 4; quad++, source += 4, target += 4 * targetStride)
        {
            Vector512<float> a = Rows(0), b = Rows(1), c = Rows(2), d = Rows(3);
            Vector512<double> ab = Avx512F.UnpackLow(a, b).AsDouble(), cd = Avx512F.UnpackLow(c, d).AsDouble();
            Avx512F.UnpackLow(ab, cd).AsSingle().Store(target);
            Avx512F.UnpackHigh(ab, cd).AsSingle().Store(target + targetStride);
            (ab, cd) = (Avx512F.UnpackHigh(a, b).AsDouble(), Avx512F.UnpackHigh(c, d).AsDouble());
            Avx512F.UnpackLow(ab, cd).AsSingle().Store(target + 2 * targetStride);
            Avx512F.UnpackHigh(ab, cd).AsSingle().Store(target + 3 * targetStride);
        }

        Vector512<float> Rows(int row)
        {
            float* first = source + row * sourceStride;
            return Vector512.Create(
                Vector256.Create(Vector128.Load(first), Vector128.Load(first + 4 * sourceStride)),
                Vector256.Create(Vector128.Load(first + 8 * sourceStride), Vector128.Load(first + 12 * sourceStride)));
        }
    }
}

/// <summary>AVX2 with FMA.</summary>
internal readonly unsafe struct SparseMatrixLanes256 : ISparseMatrixLanes<Vector256<float>>
{
    public static int Count => Vector256<float>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(float* source) => Vector256.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Broadcast(float value) => Vector256.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float* target, Vector256<float> vector) => vector.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> c) => Fma.MultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Nonzeros(float* source) => ~Vector256.Equals(Vector256.Load(source), Vector256<float>.Zero).ExtractMostSignificantBits() & 0xFF;

    public static void Transpose(float* source, nint sourceStride, float* target, nint targetStride)
    {
        for (int quad = 0; quad < 2; quad++, source += 4, target += 4 * targetStride)
        {
            Vector256<float> a = Rows(0), b = Rows(1), c = Rows(2), d = Rows(3);
            Vector256<double> ab = Avx.UnpackLow(a, b).AsDouble(), cd = Avx.UnpackLow(c, d).AsDouble();
            Avx.UnpackLow(ab, cd).AsSingle().Store(target);
            Avx.UnpackHigh(ab, cd).AsSingle().Store(target + targetStride);
            (ab, cd) = (Avx.UnpackHigh(a, b).AsDouble(), Avx.UnpackHigh(c, d).AsDouble());
            Avx.UnpackLow(ab, cd).AsSingle().Store(target + 2 * targetStride);
            Avx.UnpackHigh(ab, cd).AsSingle().Store(target + 3 * targetStride);
        }

        Vector256<float> Rows(int row)
        {
            float* first = source + row * sourceStride;
            return Vector256.Create(Vector128.Load(first), Vector128.Load(first + 4 * sourceStride));
        }
    }
}

/// <summary>No vector instructions.</summary>
internal readonly unsafe struct SparseMatrixLanesScalar : ISparseMatrixLanes<float>
{
    public static int Count => 1;

    public static float Load(float* source) => *source;

    public static float Broadcast(float value) => value;

    public static void Store(float* target, float vector) => *target = vector;

    public static float MultiplyAdd(float a, float b, float c) => MathF.FusedMultiplyAdd(a, b, c);

    public static uint Nonzeros(float* source) => *source != 0 ? 1u : 0;

    public static void Transpose(float* source, nint sourceStride, float* target, nint targetStride) => *target = *source;
}
