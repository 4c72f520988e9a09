using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Lab.Tensors.Kernels.Simd;

/// <summary>Sixteen lanes (AVX-512).</summary>
internal readonly unsafe struct Lanes512 : ILanes<Vector512<float>, Vector512<int>>
{
    private static Vector512<int> LaneBits
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector512.Create(1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15);
    }

    public static int Count => 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* address) => Vector512.Load(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> value, float* address) => value.Store(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Broadcast(float value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Add(Vector512<float> left, Vector512<float> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Subtract(Vector512<float> left, Vector512<float> right) => left - right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Multiply(Vector512<float> left, Vector512<float> right) => left * right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Divide(Vector512<float> left, Vector512<float> right) => left / right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Sqrt(Vector512<float> value) => Vector512.Sqrt(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> left, Vector512<float> right, Vector512<float> addend) => Vector512.FusedMultiplyAdd(left, right, addend);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Nonzeros(Vector512<float> value) => ~(uint)Vector512.Equals(value, Vector512<float>.Zero).ExtractMostSignificantBits() & 0xFFFF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> LoadBits(int* address) => Vector512.Load(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBits(Vector512<int> value, int* address) => value.Store(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> BroadcastBits(int value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Magnitude(Vector512<float> value) => value.AsInt32() & Vector512.Create(int.MaxValue);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> AddBits(Vector512<int> left, Vector512<int> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Max(Vector512<int> left, Vector512<int> right) => Vector512.Max(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Min(Vector512<int> left, Vector512<int> right) => Vector512.Min(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int MaxOfLanes(Vector512<int> value) =>
        Lanes256.MaxOfLanes(Vector256.Max(value.GetLower(), value.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> ShiftRight(Vector512<int> value, int count) => value >>> count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint AtLeast(Vector512<int> left, Vector512<int> right) =>
        (uint)Vector512.ExtractMostSignificantBits(Vector512.GreaterThanOrEqual(left, right));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint AreEqual(Vector512<int> left, Vector512<int> right) =>
        (uint)Vector512.ExtractMostSignificantBits(Vector512.Equals(left, right));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> CountAtLeast(Vector512<int> counts, Vector512<int> left, Vector512<int> right) =>
        counts - Vector512.GreaterThanOrEqual(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SumOfLanes(Vector512<int> value) => Vector512.Sum(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> KeepAtLeast(Vector512<float> value, Vector512<int> left, Vector512<int> right) =>
        Vector512.ConditionalSelect(Vector512.GreaterThanOrEqual(left, right).AsSingle(), value, Vector512<float>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Keep(Vector512<float> value, uint lanes) =>
        Vector512.ConditionalSelect(Vector512.Equals(Vector512.Create((int)lanes) & LaneBits, LaneBits).AsSingle(), value, Vector512<float>.Zero);

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
