using CsCheck;

namespace Lab.Tensors.Tests.Kernels;

/// <summary>Arrays of floats that are hard to order: ties, both zeros, denormals, and every magnitude there is.</summary>
internal static class Weights
{
    private static readonly Gen<float> Continuous = Gen.Double[-4, 4].Select(value => (float)(value * value * value));
    private static readonly Gen<float> Tied = Gen.Int[-3, 3].Select(value => value * 0.5f);
    private static readonly Gen<float> Denormal = Gen.Int[-40, 40].Select(value => value * float.Epsilon);
    private static readonly Gen<float> Zero = Gen.Bool.Select(isNegative => isNegative ? -0f : 0f);
    private static readonly Gen<float> AnyFinite = Gen.UInt.Select(BitConverter.UInt32BitsToSingle).Where(float.IsFinite);

    /// <summary>An array of the length, of one kind or of all kinds mixed.</summary>
    public static Gen<float[]> Array(int length) =>
        Gen.OneOf(Continuous.Array[length], Tied.Array[length], Denormal.Array[length], Zero.Array[length], AnyFinite.Array[length], Gen.OneOf(Continuous, Tied, Denormal, Zero, AnyFinite).Array[length]);

    /// <summary>The bits of each value: NaN and -0 compare as what they are.</summary>
    public static int[] Bits(ReadOnlySpan<float> values) => System.Runtime.InteropServices.MemoryMarshal.Cast<float, int>(values).ToArray();

    /// <summary>Indices by falling magnitude, ties by rising index.</summary>
    public static int[] Order(IReadOnlyList<float> values) =>
        [.. Enumerable.Range(0, values.Count).OrderByDescending(i => MathF.Abs(values[i])).ThenBy(i => i)];
}
