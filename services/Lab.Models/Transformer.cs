using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>
/// A pre-norm decoder: GPT-2, Llama, Mistral, Qwen, Gemma 3 or a weight-sparse model, as its config says. Not safe for concurrent
/// use: one thread owns a model.
/// </summary>
public sealed class Transformer : IDisposable
{
    /// <summary>A model over existing weights, which it owns from now on.</summary>
    public Transformer(TransformerConfig config, TransformerWeights weights)
    {
        Config = config.Validate();
        Weights = weights;
        Hooks = new HookCatalog(config, weights.Names);
        Parameters = new ParameterCatalog(weights);
    }

    /// <summary>The architecture.</summary>
    public TransformerConfig Config { get; }

    /// <summary>The parameters.</summary>
    public TransformerWeights Weights { get; }

    /// <summary>Where activations can be reached.</summary>
    public HookCatalog Hooks { get; }

    /// <summary>What the parameters do.</summary>
    public ParameterCatalog Parameters { get; }

    /// <summary>Where the weights are.</summary>
    public Device Device => Weights.TokenEmbedding.Value.device;

    /// <summary>The type of the weights and activations: FP32, BF16 or FP64.</summary>
    public ScalarType ScalarType => Weights.TokenEmbedding.Value.dtype;

    /// <summary>Bytes that the sparse forms of its matrices take, on top of the weights; 0 without <see cref="UseSparseKernels"/>.</summary>
    public long SparseBytes => Sparse?.SizeBytes ?? 0;

    /// <summary>The sparse forms of its matrices; null without <see cref="UseSparseKernels"/>.</summary>
    internal SparseWeights? Sparse { get; private set; }

    /// <summary>
    /// From now on, matrices of which few entries are not zero are multiplied by kernels for such matrices, where weights are FP32 on the
    /// CPU. Activations are the same to rounding. Passes that record gradients, and changed matrices of a pass with edits, stay dense.
    /// Call it again after the weights change: the sparse forms are copies. An entry that is zero is left out even where the activation
    /// that it would multiply is infinite or NaN.
    /// </summary>
    /// <param name="maxDensity">The largest part of nonzero entries, 0 to 1, of a matrix that takes them; null for where they are faster.</param>
    public void UseSparseKernels(double? maxDensity = null)
    {
        SparseWeights sparse = new(Weights, maxDensity);
        Sparse?.Dispose();
        Sparse = sparse;
    }

    /// <summary>Runs whole rows.</summary>
    /// <param name="ids">[rows, pos], int64, each below d_vocab; pos at most n_ctx.</param>
    /// <param name="tap">Sees and changes activations; null for none, at no cost.</param>
    /// <returns>Logits [rows, pos, d_vocab], in the caller's dispose scope.</returns>
    public Tensor Forward(Tensor ids, IActivationTap? tap = null) => Forward(new ForwardInput(ids), tap)!;

    /// <summary>Runs the model.</summary>
    /// <param name="input">What to read, and which logits to give.</param>
    /// <param name="tap">Sees and changes activations; null for none, at no cost.</param>
    /// <returns>
    /// Logits, in the caller's dispose scope: [rows, pos, d_vocab], or [tokens, d_vocab] where tokens are named; null for none.
    /// </returns>
    /// <exception cref="ArgumentException">The IDs are not [rows, pos], or a row would be longer than n_ctx.</exception>
    public Tensor? Forward(ForwardInput input, IActivationTap? tap = null)
    {
        long[] shape = input.Ids.shape;
        int past = input.Caches is { Count: > 0 } caches ? caches.Max(cache => cache.Length) : 0;
        if (shape.Length != 2 || past + shape[1] > Config.NCtx)
        {
            string before = past > 0 ? $" after {past} tokens" : "";
            throw new ArgumentException($"Token IDs must be [rows, pos] with at most {Config.NCtx} positions, not [{string.Join(", ", shape)}]{before}.", nameof(input));
        }

        if (input.Caches is not null && input.Caches.Count != shape[0])
            throw new ArgumentException($"{input.Caches.Count} caches do not fit {shape[0]} rows.", nameof(input));

        using var scope = NewDisposeScope();
        Tensor? logits = new ForwardPass(this, input, tap).Run();
        if (input.Caches is not null)
        {
            for (int row = 0; row < input.Caches.Count; row++) input.Caches[row].Length += input.Lengths?[row] ?? (int)shape[1];
        }

        return logits?.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// What a residual stream would predict if the model ended there (logit lens): the final norm, the unembedding, and whatever else
    /// the model makes logits of.
    /// </summary>
    /// <param name="residual">[rows, pos, d_model].</param>
    /// <param name="input">The tokens [rows, pos], which logits to give, and changes to parameters.</param>
    /// <returns>As <see cref="Forward(ForwardInput, IActivationTap?)"/> gives them.</returns>
    public Tensor? Unembed(Tensor residual, ForwardInput input)
    {
        using var scope = NewDisposeScope();
        return new ForwardPass(this, input, tap: null).Logits(residual)?.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Sparse?.Dispose();
        Weights.Dispose();
    }
}
