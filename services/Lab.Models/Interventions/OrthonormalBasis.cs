using System.Numerics;
using System.Runtime.InteropServices;
using Lab.Tensors;

namespace Lab.Models.Interventions;

/// <summary>Makes directions orthonormal: the QR decomposition in FP64, by Gram and Schmidt's method, twice over for accuracy.</summary>
public static class OrthonormalBasis
{
    /// <summary>What is left of a dependent direction, against its length, is rounding of the FP32 values: far below this.</summary>
    private const double Tolerance = 1e-6;

    /// <summary>An orthonormal basis of what the directions span.</summary>
    /// <param name="directions">[k, channels], or [channels] for k = 1; FP32.</param>
    /// <param name="field">Its path, for errors.</param>
    /// <returns>[k, channels], FP64.</returns>
    /// <exception cref="ArgumentException">A direction is zero or a combination of those before it.</exception>
    public static HostTensor Of(HostTensor directions, string field)
    {
        int channels = (int)directions.Shape[^1], count = (int)(directions.ElementCount / channels);
        double[] basis = new double[count * channels];
        for (int i = 0; i < basis.Length; i++) basis[i] = directions.Floats[i];
        for (int i = 0; i < count; i++)
        {
            Span<double> direction = basis.AsSpan(i * channels, channels);
            double length = Math.Sqrt(Dot(direction, direction));
            for (int repeat = 0; repeat < 2; repeat++)
            {
                for (int j = 0; j < i; j++)
                {
                    ReadOnlySpan<double> before = basis.AsSpan(j * channels, channels);
                    AddTo(direction, before, -Dot(direction, before));
                }
            }

            double left = Math.Sqrt(Dot(direction, direction));
            if (left <= length * Tolerance)
                throw new ArgumentException(length == 0 ? $"Direction {i} is zero." : $"Direction {i} is a combination of those before it: directions must be linearly independent.", field);
            for (int c = 0; c < channels; c++) direction[c] /= left;
        }

        return new HostTensor(directions.Name, TensorDataType.Float64, [count, channels], MemoryMarshal.AsBytes(basis.AsSpan()).ToArray());
    }

    private static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        Vector<double> sums = Vector<double>.Zero;
        int i = 0;
        for (; i <= a.Length - Vector<double>.Count; i += Vector<double>.Count) sums += new Vector<double>(a[i..]) * new Vector<double>(b[i..]);
        double sum = Vector.Sum(sums);
        for (; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }

    private static void AddTo(Span<double> target, ReadOnlySpan<double> added, double factor)
    {
        int i = 0;
        for (; i <= target.Length - Vector<double>.Count; i += Vector<double>.Count)
            (new Vector<double>(target[i..]) + (new Vector<double>(added[i..]) * factor)).CopyTo(target[i..]);
        for (; i < target.Length; i++) target[i] += added[i] * factor;
    }
}
