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
    /// <summary>Updates the parameter and both moments in place. FP32, contiguous, on the CPU; any other tensors take torch operations.</summary>
    /// <param name="parameter">Of any shape.</param>
    /// <param name="gradient">Like the parameter; multiplied by the constants' scale.</param>
    /// <param name="firstMoment">Like the parameter.</param>
    /// <param name="secondMoment">Like the parameter.</param>
    /// <param name="constants">The step's constants.</param>
    /// <exception cref="ArgumentException">Gradient or moments have another size than the parameter.</exception>
    public static void Apply(Tensor parameter, Tensor gradient, Tensor firstMoment, Tensor secondMoment, AdamConstants constants)
    {
        if (!HostMemory.IsAddressable(parameter) || !HostMemory.IsAddressable(gradient))
        {
            ApplyWithTorch(parameter, gradient, firstMoment, secondMoment, constants);
            return;
        }

        RequireSizes(parameter, gradient, firstMoment, secondMoment);
        WeightMatrix matrix = new(HostMemory.Address(parameter), 1, parameter.numel(), new Projection(long.MaxValue));
        AdamState adam = new(HostMemory.Address(gradient), HostMemory.Address(firstMoment), HostMemory.Address(secondMoment), new AdamFactors(constants, 1));
        MatrixUpdate.Run("", matrix, adam, 1);
        HostMemory.KeepAlive(parameter, gradient, firstMoment, secondMoment);
    }

    /// <summary>The kernels go by the parameter's size alone, and would read and write past a smaller tensor.</summary>
    internal static void RequireSizes(Tensor parameter, Tensor gradient, Tensor firstMoment, Tensor secondMoment)
    {
        long count = parameter.numel();
        Require(gradient, nameof(gradient));
        Require(firstMoment, nameof(firstMoment));
        Require(secondMoment, nameof(secondMoment));

        void Require(Tensor tensor, string name)
        {
            if (tensor.numel() != count) throw new ArgumentException($"Has {tensor.numel()} entries for a parameter of {count}.", name);
        }
    }

    internal static void ApplyWithTorch(Tensor parameter, Tensor gradient, Tensor firstMoment, Tensor secondMoment, AdamConstants constants)
    {
        double correction1 = 1 - Math.Pow(constants.Beta1, constants.Step);
        double correction2 = 1 - Math.Pow(constants.Beta2, constants.Step);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor scaled = gradient * constants.GradientScale;
        firstMoment.mul_(constants.Beta1).add_(scaled * (1 - constants.Beta1));
        secondMoment.mul_(constants.Beta2).add_(scaled * scaled * (1 - constants.Beta2));
        Tensor denominator = secondMoment.sqrt() / Math.Sqrt(correction2) + constants.Epsilon;
        parameter.sub_(firstMoment / denominator * (constants.LearningRate / correction1));
    }
}
