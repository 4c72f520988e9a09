using Lab.Models;
using Lab.Tensors.Kernels;
using Lab.Tensors.Kernels.Training;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Training.Steps;

/// <summary>
/// y = x W^T + b and its three gradients, for all or some of a weight's outputs. Products with the weight take sparse kernels as soon
/// as enough of it is zero; the weight's own gradient is dense in any case, so that zeroed weights can come back.
/// </summary>
internal sealed unsafe class LinearMap : IDisposable
{
    private readonly Tensor _weight;
    private readonly Tensor _transposed;
    private readonly Tensor _gradient;
    private readonly float* _weights;
    private readonly float* _bias;
    private readonly float* _biasGradient;
    private readonly int _outputs;
    private readonly int _inputs;
    private readonly SparseMatrix _sparse = new();
    private bool _isSparse;

    /// <param name="weight">[all outputs, inputs].</param>
    /// <param name="bias">[all outputs], or null.</param>
    /// <param name="gradients">Where the gradients belong.</param>
    /// <param name="first">The first output.</param>
    /// <param name="outputs">Outputs; 0 for all.</param>
    public LinearMap(NamedParameter weight, NamedParameter? bias, Gradients gradients, int first = 0, int outputs = 0)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        _outputs = outputs > 0 ? outputs : (int)weight.Value.shape[0];
        _inputs = (int)weight.Value.shape[1];
        _weight = weight.Value.detach().narrow(0, first, _outputs).DetachFromDisposeScope();
        _transposed = _weight.t().DetachFromDisposeScope();
        _gradient = gradients.Of(weight).narrow(0, first, _outputs).DetachFromDisposeScope();
        _weights = HostMemory.Address(_weight);
        if (bias is null) return;
        _bias = HostMemory.Address(bias.Value) + first;
        _biasGradient = gradients.Address(bias) + first;
    }

    /// <summary>Takes note that the weight has changed.</summary>
    /// <param name="tokens">Rows of the products to come.</param>
    public void Refresh(int tokens)
    {
        long nonzeros = RowKernels.CountNonzero(_weights, (long)_outputs * _inputs);
        _isSparse = SparseMatrix.IsWorthwhile(_outputs, _inputs, nonzeros, tokens);
        if (_isSparse) _sparse.Rebuild(_weights, _outputs, _inputs);
    }

    /// <summary>y = x W^T + b.</summary>
    public void Forward(Matrix x, Matrix y)
    {
        if (_isSparse)
        {
            _sparse.Forward(x.Data, y.Data, x.Rows, _bias);
            return;
        }

        if (_bias is not null) RowKernels.Fill(_bias, y.Data, x.Rows, _outputs);
        y.Value.addmm_(x.Value, _transposed, beta: _bias is null ? 0 : 1);
    }

    /// <summary>dx = dy W, or dx += dy W.</summary>
    public void InputGradient(Matrix dy, Matrix dx, bool accumulates = false)
    {
        if (_isSparse) _sparse.InputGradient(dy.Data, dx.Data, dy.Rows, accumulates);
        else dx.Value.addmm_(dy.Value, _weight, beta: accumulates ? 1 : 0);
    }

    /// <summary>The gradients of weight and bias.</summary>
    public void ParameterGradients(Matrix dy, Matrix x)
    {
        _gradient.addmm_(dy.Transposed, x.Value, beta: 0);
        if (_bias is not null) ColumnKernels.Sum(dy.Data, _biasGradient, dy.Rows, _outputs);
    }

    public void Dispose()
    {
        _sparse.Dispose();
        _gradient.Dispose();
        _transposed.Dispose();
        _weight.Dispose();
    }
}
