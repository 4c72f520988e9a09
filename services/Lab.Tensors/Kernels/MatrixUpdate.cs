using System.Runtime.Intrinsics;
using Lab.Tensors.Kernels.Simd;
using static TorchSharp.torch;

namespace Lab.Tensors.Kernels;

/// <summary>
/// One optimizer step of a weight matrix, in the order of the authors' script: Adam, projection on the largest entries, decay
/// of what is kept (Gao et al. 2025, section 2.1). On the CPU it is one pass that updates and counts, and one that erases and
/// decays; between them the threshold is found among the few entries near it. The result equals
/// <see cref="AdamStep"/>, <see cref="SparseProjection"/> and a multiplication bit for bit.
/// </summary>
public static unsafe class MatrixUpdate
{
    /// <summary>Updates the parameter and both moments in place. FP32, contiguous, on the CPU; any other tensors take torch operations.</summary>
    /// <param name="name">Names the matrix in errors.</param>
    /// <param name="parameter">[rows, columns] or [n].</param>
    /// <param name="gradient">Like the parameter; multiplied by the constants' scale.</param>
    /// <param name="firstMoment">Like the parameter.</param>
    /// <param name="secondMoment">Like the parameter.</param>
    /// <param name="constants">Adam's constants.</param>
    /// <param name="projection">What stays.</param>
    /// <param name="decay">Multiplies what stays, last: 1 less learning rate times weight decay. 1 for none.</param>
    /// <exception cref="ArithmeticException">The updated matrix, if it is to be projected, has an entry that is NaN or infinite. Adam's update has been done.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The projection keeps fewer entries than its floor, or a number is negative.</exception>
    /// <exception cref="ArgumentException">Gradient or moments have another size than the parameter.</exception>
    public static void Apply(string name, Tensor parameter, Tensor gradient, Tensor firstMoment, Tensor secondMoment, AdamConstants constants, Projection projection, double decay = 1)
    {
        if (HostMemory.IsAddressable(parameter) && HostMemory.IsAddressable(gradient))
        {
            AdamStep.RequireSizes(parameter, gradient, firstMoment, secondMoment);
            (long rows, long columns) = SparseProjection.Shape(parameter);
            Apply(name, HostMemory.Address(parameter), HostMemory.Address(gradient), HostMemory.Address(firstMoment), HostMemory.Address(secondMoment), rows, columns, constants, projection, decay);
            HostMemory.KeepAlive(parameter, gradient, firstMoment, secondMoment);
            return;
        }

        using var noGrad = no_grad();
        AdamStep.ApplyWithTorch(parameter, gradient, firstMoment, secondMoment, constants);
        SparseProjection.Apply(name, parameter, projection);
        if (decay != 1) _ = parameter.mul_(decay);
    }

    /// <summary>The same in memory.</summary>
    /// <param name="name">Names the matrix in errors.</param>
    /// <param name="parameter">[rows, columns], as the gradient and both moments.</param>
    /// <param name="gradient">Multiplied by the constants' scale.</param>
    /// <param name="firstMoment">Changed in place, as the second and the parameter.</param>
    /// <param name="secondMoment">Not negative.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="constants">Adam's constants.</param>
    /// <param name="projection">What stays.</param>
    /// <param name="decay">Multiplies what stays, last. 1 for none.</param>
    /// <exception cref="ArithmeticException">As above.</exception>
    /// <exception cref="ArgumentOutOfRangeException">As above.</exception>
    public static void Apply(string name, float* parameter, float* gradient, float* firstMoment, float* secondMoment, long rows, long columns, AdamConstants constants, Projection projection, double decay = 1)
    {
        projection.Require(rows, columns);
        WeightMatrix matrix = new(parameter, rows, columns, projection);
        AdamState adam = new(gradient, firstMoment, secondMoment, new AdamFactors(constants, matrix.KeepsAll ? decay : 1));
        Run(name, matrix, adam, (float)decay);
    }

    /// <summary>At the widest vectors that this machine has.</summary>
    internal static void Run(string name, WeightMatrix matrix, AdamState adam, float decay)
    {
        if (Vector512.IsHardwareAccelerated) MatrixProjection<Lanes512, Vector512<float>, Vector512<int>>.Apply(name, matrix, adam, decay);
        else if (Vector256.IsHardwareAccelerated) MatrixProjection<Lanes256, Vector256<float>, Vector256<int>>.Apply(name, matrix, adam, decay);
        else MatrixProjection<Lanes1, float, int>.Apply(name, matrix, adam, decay);
    }
}
