using Lab.Models;
using Lab.Tensors.Kernels;
using Lab.Tensors.Kernels.Training;

namespace Lab.SparseTraining.Training.Steps;

/// <summary>RMSNorm with its gain, and its gradients.</summary>
internal sealed unsafe class NormMap : IDisposable
{
    private readonly Matrix _inverse;
    private readonly float* _gain;
    private readonly float* _gainGradient;
    private readonly float _epsilon;

    /// <param name="norm">The parameters.</param>
    /// <param name="gradients">Where the gradients belong.</param>
    /// <param name="rows">Tokens.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    public NormMap(NormWeights norm, Gradients gradients, int rows, double epsilon)
    {
        _inverse = new Matrix(rows, 1);
        _gain = HostMemory.Address(norm.Gain.Value);
        _gainGradient = gradients.Address(norm.Gain);
        _epsilon = (float)epsilon;
    }

    public void Forward(Matrix x, Matrix y) => RmsNormKernel.Forward(x.Data, _gain, y.Data, _inverse.Data, x.Rows, x.Columns, _epsilon);

    /// <summary>Adds to dx; sets the gain's gradient.</summary>
    public void Backward(Matrix x, Matrix dy, Matrix dx)
    {
        RmsNormKernel.GainGradient(x.Data, _inverse.Data, dy.Data, _gainGradient, x.Rows, x.Columns);
        RmsNormKernel.Backward(x.Data, _gain, _inverse.Data, dy.Data, dx.Data, x.Rows, x.Columns);
    }

    public void Dispose() => _inverse.Dispose();
}
