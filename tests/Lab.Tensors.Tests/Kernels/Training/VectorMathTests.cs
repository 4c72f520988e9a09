using System.Runtime.Intrinsics;
using Lab.Tensors.Kernels.Training;

namespace Lab.Tensors.Tests.Kernels.Training;

public sealed class VectorMathTests
{
    [Fact]
    public void Exp_WithinItsRange_IsExactToAFewUnits()
    {
        for (float x = -87; x <= 88; x += 0.0173f)
        {
            double expected = Math.Exp(x);
            ((double)VectorMath.Exp(Vector512.Create(x))[7]).ShouldBe(expected, expected * 4e-7, $"{x}");
        }
    }

    [Fact]
    public void Exp_BeyondItsRange_IsThatOfTheEndAndKeepsNaN()
    {
        Vector512<float> ends = VectorMath.Exp(Vector512.Create(-87f).WithElement(1, 88f));
        Vector512<float> beyond = VectorMath.Exp(Vector512.Create(float.NegativeInfinity).WithElement(1, float.PositiveInfinity).WithElement(2, float.NaN).WithElement(3, -100f).WithElement(4, 100f));
        (beyond[0], beyond[3]).ShouldBe((ends[0], ends[0]));
        (beyond[1], beyond[4]).ShouldBe((ends[1], ends[1]));
        float.IsNaN(beyond[2]).ShouldBeTrue();
        float.IsNormal(ends[0]).ShouldBeTrue();
        float.IsFinite(ends[1]).ShouldBeTrue();
    }

    [Fact]
    public void Normal_AnyArgument_IsTheDistributionAndItsDensity()
    {
        // Simpson's rule from 0, where the distribution is a half.
        const double Step = 1 / 256.0;
        double integral = 0.5;
        for (int i = 0; i <= 256 * 9; i++)
        {
            double x = i * Step;
            foreach (int sign in new[] { 1, -1 })
            {
                (Vector512<float> distribution, Vector512<float> density) = VectorMath.Normal(Vector512.Create((float)(sign * x)));
                ((double)distribution[15]).ShouldBe(sign > 0 ? integral : 1 - integral, 2e-7, $"{sign * x}");
                ((double)density[0]).ShouldBe(Density(x), 1e-30 + (Density(x) * 5e-6), $"{sign * x}");
            }

            integral += Step / 6 * (Density(x) + (4 * Density(x + (Step / 2))) + Density(x + Step));
        }

        static double Density(double x) => Math.Exp(-0.5 * x * x) / Math.Sqrt(2 * Math.PI);
    }

    [Fact]
    public void Normal_FarOut_IsZeroAndOne()
    {
        foreach (float x in new[] { 30f, 1e10f, float.MaxValue, float.PositiveInfinity })
        {
            VectorMath.Normal(Vector512.Create(x)).Distribution[3].ShouldBe(1);
            VectorMath.Normal(Vector512.Create(-x)).Distribution[3].ShouldBe(0, 1e-30);
        }
    }

    [Fact]
    public unsafe void LoadPartAndStorePart_AnyCount_TouchThatManyOnly()
    {
        float[] source = [.. Enumerable.Range(1, 40).Select(i => (float)i)];
        for (int count = 0; count <= 17; count++)
        {
            float[] target = new float[40];
            Array.Fill(target, -1);
            Vector512<float> loaded;
            fixed (float* from = source, to = target)
            {
                loaded = VectorMath.LoadPart(from, count);
                VectorMath.StorePart(loaded, to, count);
            }

            int taken = Math.Min(16, count);
            for (int i = 0; i < 16; i++) loaded[i].ShouldBe(i < taken ? source[i] : 0);
            target.ShouldBe([.. source[..taken], .. Enumerable.Repeat(-1f, 40 - taken)]);
        }
    }
}
