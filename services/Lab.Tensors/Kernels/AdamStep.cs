using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace Lab.Tensors.Kernels;

/// <summary>The constants of one Adam step.</summary>
/// <param name="LearningRate">Step size.</param>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="Epsilon">Added to the root of the second moment.</param>
/// <param name="GradientScale">Multiplies the gradient first.</param>
/// <param name="Step">This step's number, from 1, for the bias correction.</param>
public readonly record struct AdamConstants(double LearningRate, double Beta1, double Beta2, double Epsilon, double GradientScale, long Step);

/// <summary>Adam's update of one parameter in one pass over its memory (Kingma and Ba 2015, algorithm 1).</summary>
public static unsafe class AdamStep
{
    /// <summary>Updates the parameter and both moments in place. All four tensors have one shape and are FP32.</summary>
    public static void Apply(Tensor parameter, Tensor gradient, Tensor firstMoment, Tensor secondMoment, AdamConstants constants)
    {
        double correction1 = 1 - Math.Pow(constants.Beta1, constants.Step);
        double correction2 = 1 - Math.Pow(constants.Beta2, constants.Step);
        if (!HostMemory.IsAddressable(parameter) || !HostMemory.IsAddressable(gradient))
        {
            ApplyWithTorch(parameter, gradient, firstMoment, secondMoment, constants, correction1, correction2);
            return;
        }

        float* p = HostMemory.Address(parameter);
        float* g = HostMemory.Address(gradient);
        float* m = HostMemory.Address(firstMoment);
        float* v = HostMemory.Address(secondMoment);
        float scale = (float)constants.GradientScale;
        float beta1 = (float)constants.Beta1;
        float beta2 = (float)constants.Beta2;
        float step = (float)(constants.LearningRate / correction1);
        float root = (float)(1 / Math.Sqrt(correction2));
        float epsilon = (float)constants.Epsilon;
        HostMemory.ForRanges((int)parameter.numel(), 1, (from, to) => Update(p, g, m, v, from, to, scale, beta1, beta2, step, root, epsilon));
    }

    private static void Update(float* p, float* g, float* m, float* v, int from, int to, float scale, float beta1, float beta2, float step, float root, float epsilon)
    {
        int i = from;
        Vector512<float> scales = Vector512.Create(scale), roots = Vector512.Create(root), epsilons = Vector512.Create(epsilon), steps = Vector512.Create(step);
        Vector512<float> keep1 = Vector512.Create(beta1), take1 = Vector512.Create(1 - beta1), keep2 = Vector512.Create(beta2), take2 = Vector512.Create(1 - beta2);
        for (; i <= to - Vector512<float>.Count; i += Vector512<float>.Count)
        {
            Vector512<float> gradient = Vector512.Load(g + i) * scales;
            Vector512<float> first = Vector512.Load(m + i) * keep1 + gradient * take1;
            Vector512<float> second = Vector512.Load(v + i) * keep2 + gradient * gradient * take2;
            first.Store(m + i);
            second.Store(v + i);
            (Vector512.Load(p + i) - steps * first / (Vector512.Sqrt(second) * roots + epsilons)).Store(p + i);
        }

        for (; i < to; i++)
        {
            float gradient = g[i] * scale;
            m[i] = m[i] * beta1 + gradient * (1 - beta1);
            v[i] = v[i] * beta2 + gradient * gradient * (1 - beta2);
            p[i] -= step * m[i] / (MathF.Sqrt(v[i]) * root + epsilon);
        }
    }

    private static void ApplyWithTorch(Tensor parameter, Tensor gradient, Tensor firstMoment, Tensor secondMoment, AdamConstants constants, double correction1, double correction2)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor scaled = gradient * constants.GradientScale;
        firstMoment.mul_(constants.Beta1).add_(scaled * (1 - constants.Beta1));
        secondMoment.mul_(constants.Beta2).add_(scaled * scaled * (1 - constants.Beta2));
        Tensor denominator = secondMoment.sqrt() / Math.Sqrt(correction2) + constants.Epsilon;
        parameter.sub_(firstMoment / denominator * (constants.LearningRate / correction1));
    }
}
