using Lab.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Lab.SparseTraining.Training;

/// <summary>Measures activations while a model is evaluated: dead neurons, sparsity by kind of site, kurtosis of the final residual.</summary>
internal sealed class EvaluationTap : IActivationTap, IDisposable
{
    private readonly HookPoint _final;
    private readonly HookPoint[] _neurons;
    private readonly Tensor[] _alive;
    private readonly Dictionary<HookPoint, string> _kinds = [];
    private readonly SortedDictionary<string, (double Nonzero, double All)> _counts = new(StringComparer.Ordinal);
    private double _kurtosis;
    private long _positions;

    public EvaluationTap(Transformer model)
    {
        _final = model.Hooks.Blocks[^1].ResidPost;
        _neurons = [.. model.Hooks.Blocks.Select(block => block.MlpPost)];
        _alive = [.. _neurons.Select(_ => zeros(model.Config.DMlp, ScalarType.Bool).DetachFromDisposeScope())];
        foreach (BlockHooks block in model.Hooks.Blocks)
        {
            (_kinds[block.AttnRead], _kinds[block.Q], _kinds[block.K], _kinds[block.V]) = ("attn_read", "q", "k", "v");
            (_kinds[block.AttnOut], _kinds[block.MlpRead], _kinds[block.MlpPost], _kinds[block.MlpOut]) = ("attn_out", "mlp_read", "mlp_post", "mlp_out");
        }
    }

    public bool Wants(HookPoint hook) => hook == _final || _kinds.ContainsKey(hook);

    public Tensor At(HookPoint hook, Tensor x)
    {
        using var scope = NewDisposeScope();
        if (hook == _final) AddKurtosis(x);
        if (_kinds.TryGetValue(hook, out string? kind))
        {
            Tensor nonzero = x.ne(0);
            if (hook == _neurons[hook.Layer]) _alive[hook.Layer].logical_or_(nonzero.flatten(0, 1).any(0));
            (double count, double all) = _counts.GetValueOrDefault(kind);
            _counts[kind] = (count + nonzero.count_nonzero().item<long>(), all + x.numel());
        }

        return x;
    }

    /// <summary>What was measured, with the loss.</summary>
    public HeldOutEvaluation ToEvaluation(double loss)
    {
        using var scope = NewDisposeScope();
        return new HeldOutEvaluation(
            loss,
            [.. _alive.Select(layer => (int)(layer.numel() - layer.count_nonzero().item<long>()))],
            _counts.ToDictionary(count => count.Key, count => count.Value.Nonzero / count.Value.All),
            _kurtosis / _positions);
    }

    public void Dispose()
    {
        foreach (Tensor layer in _alive) layer.Dispose();
    }

    /// <summary>m4 / m2^2 of the channels of each position. A position whose channels are all equal has 0.</summary>
    private void AddKurtosis(Tensor x)
    {
        Tensor residual = x.to(ScalarType.Float64);
        Tensor squares = (residual - residual.mean([-1], keepdim: true)).square();
        Tensor variance = squares.mean([-1]);                                                       // (B, T)
        Tensor kurtosis = squares.square().mean([-1]) / variance.square().clamp_min(1e-300); // (B, T)
        _kurtosis += kurtosis.sum().item<double>();
        _positions += kurtosis.numel();
    }
}
