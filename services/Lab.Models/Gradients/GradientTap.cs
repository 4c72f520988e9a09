using Lab.Models.Interventions;
using Lab.Tensors;
using static TorchSharp.torch;

namespace Lab.Models.Gradients;

/// <summary>
/// The tap of a pass that is differentiated: applies interventions, makes what is differentiated by part of the graph, takes the
/// inner products with given gradients, and captures. The graph begins at the first wanted activation, and is cut at each.
/// </summary>
/// <param name="interventions">Applied first.</param>
/// <param name="wanted">The hooks whose gradients are wanted, by their index.</param>
/// <param name="upstream">Given gradients.</param>
/// <param name="rows">Rows of the batch, the twin's not counted.</param>
/// <param name="hasTwin">Whether the pass has the rows twice, [clean rows; changed rows]. The clean ones are constants.</param>
/// <param name="captures">See what the interventions left.</param>
/// <param name="cuts">Takes the graph apart for the way back.</param>
/// <param name="hooks">The model's: beside the wanted ones, the graph is cut at the end of each layer.</param>
/// <param name="ct">Checked at every hook.</param>
internal sealed class GradientTap(
    IActivationTap interventions,
    IReadOnlySet<int> wanted,
    IReadOnlyList<(ResolvedSelection Selection, HostTensor Gradient)> upstream,
    int rows,
    bool hasTwin,
    IActivationTap captures,
    GraphCuts cuts,
    HookCatalog hooks,
    CancellationToken ct) : IActivationTap, IDisposable
{
    private readonly ILookup<int, (ResolvedSelection Selection, HostTensor Gradient)> _upstream = upstream.ToLookup(one => one.Selection.Hook.Index);
    private readonly HashSet<int> _layerEnds = [.. hooks.Blocks.Select(block => block.ResidPost.Index)];
    private readonly Dictionary<int, Tensor> _activations = [];
    private Tensor? _values;

    /// <summary>The wanted activations of the pass, by their hooks' indices: leaves, owned by the cuts.</summary>
    public IReadOnlyDictionary<int, Tensor> Activations => _activations;

    /// <summary>The inner products with given gradients, [rows]; null if none was asked for.</summary>
    public Tensor? Values => _values;

    /// <inheritdoc/>
    public bool Wants(HookPoint hook)
    {
        // The pass asks this at every hook, wanted or not: the one place that sees all of them.
        ct.ThrowIfCancellationRequested();
        return wanted.Contains(hook.Index) || interventions.Wants(hook) || captures.Wants(hook) || _upstream.Contains(hook.Index) || _layerEnds.Contains(hook.Index);
    }

    /// <inheritdoc/>
    public Tensor At(HookPoint hook, Tensor x)
    {
        if (interventions.Wants(hook)) x = interventions.At(hook, hasTwin && x.requires_grad ? cat([Clean(x).detach(), Own(x)], 0) : x);
        if (wanted.Contains(hook.Index)) x = hasTwin ? cat([Clean(x), Differentiable(hook, Own(x))], 0) : Differentiable(hook, x);
        foreach ((ResolvedSelection selection, HostTensor gradient) in _upstream[hook.Index]) Multiply(selection, gradient, Own(x));
        if (captures.Wants(hook))
        {
            using var noGrad = no_grad();
            captures.At(hook, x);
        }

        return _layerEnds.Contains(hook.Index) ? cuts.Cut(x) : x;
    }

    /// <inheritdoc/>
    public void Dispose() => _values?.Dispose();

    private Tensor Clean(Tensor x) => x.narrow(0, 0, rows);

    private Tensor Own(Tensor x) => hasTwin ? x.narrow(0, rows, rows) : x;

    /// <summary>
    /// The activation as a node of its own in the graph, which only what reads it here hangs on: the residual stream that hook_mlp_in
    /// shows goes on beside it.
    /// </summary>
    private Tensor Differentiable(HookPoint hook, Tensor x)
    {
        Tensor node = cuts.Leaf(x);
        _activations.Add(hook.Index, node);
        return node.alias();
    }

    private void Multiply(ResolvedSelection selection, HostTensor gradient, Tensor x)
    {
        using var scope = NewDisposeScope();
        Tensor selected = selection.Gather(x);
        // Minus infinity in scores is no number to multiply: its place in the softmax is fixed.
        if (selection.IsAttention) selected = selected.masked_fill(selected.isinf(), 0);
        selected = selected.to(x.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32);
        Tensor product = (selected * gradient.ToTorch(x.device).to(selected.dtype)).flatten(1).sum(1);  // (R)
        Tensor index = tensor([.. selection.Tokens.Rows.Select(row => (long)row)], device: x.device);
        Tensor values = _values ?? zeros(rows, dtype: product.dtype, device: x.device);
        Tensor sum = values.index_add(0, index, product, 1).DetachFromDisposeScope();
        _values?.Dispose();
        _values = sum;
    }
}
