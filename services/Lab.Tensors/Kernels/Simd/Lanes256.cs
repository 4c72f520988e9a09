using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Lab.Tensors.Kernels.Simd;

/// <summary>Eight lanes (AVX2 with FMA).</summary>
internal readonly unsafe struct Lanes256 : ILanes<Vector256<float>, Vector256<int>>
{
    private static Vector256<int> LaneBits
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector256.Create(1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7);
    }

    public static int Count => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(float* address) => Vector256.Load(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<float> value, float* address) => value.Store(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Broadcast(float value) => Vector256.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Add(Vector256<float> left, Vector256<float> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Subtract(Vector256<float> left, Vector256<float> right) => left - right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Multiply(Vector256<float> left, Vector256<float> right) => left * right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Divide(Vector256<float> left, Vector256<float> right) => left / right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Sqrt(Vector256<float> value) => Vector256.Sqrt(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> left, Vector256<float> right, Vector256<float> addend) => Vector256.FusedMultiplyAdd(left, right, addend);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Nonzeros(Vector256<float> value) => ~Vector256.Equals(value, Vector256<float>.Zero).ExtractMostSignificantBits() & 0xFF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> LoadBits(int* address) => Vector256.Load(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBits(Vector256<int> value, int* address) => value.Store(address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> BroadcastBits(int value) => Vector256.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Magnitude(Vector256<float> value) => value.AsInt32() & Vector256.Create(int.MaxValue);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> AddBits(Vector256<int> left, Vector256<int> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Max(Vector256<int> left, Vector256<int> right) => Vector256.Max(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Min(Vector256<int> left, Vector256<int> right) => Vector256.Min(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int MaxOfLanes(Vector256<int> value)
    {
        Vector128<int> four = Vector128.Max(value.GetLower(), value.GetUpper());
        Vector128<int> two = Vector128.Max(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return Math.Max(two.ToScalar(), two.GetElement(1));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> ShiftRight(Vector256<int> value, int count) => value >>> count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint AtLeast(Vector256<int> left, Vector256<int> right) =>
        (uint)Vector256.ExtractMostSignificantBits(Vector256.GreaterThanOrEqual(left, right));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint AreEqual(Vector256<int> left, Vector256<int> right) =>
        (uint)Vector256.ExtractMostSignificantBits(Vector256.Equals(left, right));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> CountAtLeast(Vector256<int> counts, Vector256<int> left, Vector256<int> right) =>
        counts - Vector256.GreaterThanOrEqual(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SumOfLanes(Vector256<int> value) => Vector256.Sum(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> KeepAtLeast(Vector256<float> value, Vector256<int> left, Vector256<int> right) =>
        Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(left, right).AsSingle(), value, Vector256<float>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Keep(Vector256<float> value, uint lanes) =>
        Vector256.ConditionalSelect(Vector256.Equals(Vector256.Create((int)lanes) & LaneBits, LaneBits).AsSingle(), value, Vector256<float>.Zero);

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
