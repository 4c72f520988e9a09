using static TorchSharp.torch;

namespace Lab.Models.Gradients;

/// <summary>
/// Cuts a graph into parts, so that the way back goes from cut to cut and can end between two of them: libtorch itself goes back to
/// the end, and an exception on the way would end the process. Each cut is a leaf, where its gradient gathers until all that reads it
/// was gone through; what goes past a cut is no fault, it only makes parts larger.
/// </summary>
internal sealed class GraphCuts : IDisposable
{
    private readonly Stack<(Tensor End, Tensor Start)> _cuts = new();
    private readonly List<Tensor> _leaves = [];

    /// <summary>Cuts that the way back has yet to reach.</summary>
    public int Count => _cuts.Count;

    /// <summary>Cuts a tensor that goes on in the graph; one that does not, or is a leaf, is returned as it is.</summary>
    public Tensor Cut(Tensor x) => x.requires_grad && !x.is_leaf ? Leaf(x).alias() : x;

    /// <summary>A tensor as a leaf whose gradient <see cref="Backward"/> leaves in it; owned by this.</summary>
    /// <param name="x">Any tensor, in a graph or not.</param>
    public Tensor Leaf(Tensor x)
    {
        Tensor start = x.detach().requires_grad_(true).DetachFromDisposeScope();
        _leaves.Add(start);
        if (x.requires_grad) _cuts.Push((x.alias().DetachFromDisposeScope(), start));
        return start;
    }

    /// <summary>Leaves the gradients of a sum in all leaves that it depends on. Each part of the graph is let go once it was gone through.</summary>
    /// <param name="values">What is summed and differentiated.</param>
    /// <param name="ct">Ends the way back at the next cut.</param>
    public void Backward(Tensor values, CancellationToken ct)
    {
        // Parts may share what went past a cut: a part must not let go of that before its end is disposed.
        using (Tensor sum = values.sum()) sum.backward(retain_graph: true);
        while (_cuts.TryPeek(out (Tensor End, Tensor Start) cut))
        {
            ct.ThrowIfCancellationRequested();
            using (Tensor? gradient = cut.Start.grad)
            {
                if (gradient is not null) cut.End.backward([gradient], retain_graph: true);
            }

            cut.End.Dispose();
            _cuts.Pop();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach ((Tensor end, _) in _cuts) end.Dispose();
        foreach (Tensor leaf in _leaves) leaf.Dispose();
    }
}
