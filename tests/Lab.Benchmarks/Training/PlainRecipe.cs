using Lab.Models;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Lab.Benchmarks.Training;

/// <summary>
/// The baseline: the recipe of Gao et al. 2025 (appendix A.2) written plainly with libtorch's operations, as a researcher would: autograd,
/// topk and scatter for AbsTopK and for the projection, Adam operation by operation. Without sparsity it is the dense step.
/// </summary>
internal sealed class PlainRecipe : IDisposable
{
    private const double Beta1 = 0.9, Beta2 = 0.95, Epsilon = 0.1, Decay = 0.1, LearningRate = 1e-3;
    private const int FewestPerNeuron = 4;

    private readonly TransformerConfig _config;
    private readonly TransformerWeights _weights;
    private readonly double _density;
    private readonly double _embeddingDensity;
    private readonly Dictionary<string, (Tensor First, Tensor Second)> _moments;
    private int _steps;

    /// <param name="config">The architecture; its activation fraction says whether AbsTopK is applied.</param>
    /// <param name="density">The fraction of each block matrix that stays nonzero; 1 for the dense step.</param>
    /// <param name="embeddingDensity">The same for embedding and unembedding.</param>
    public PlainRecipe(TransformerConfig config, double density, double embeddingDensity)
    {
        (_config, _density, _embeddingDensity) = (config, density, embeddingDensity);
        _weights = TransformerWeights.Initialize(config, seed: 0);
        foreach (NamedParameter parameter in _weights.All) parameter.Value.requires_grad = true;
        _moments = _weights.All.ToDictionary(
            parameter => parameter.Name, parameter => (zeros_like(parameter.Value).DetachFromDisposeScope(), zeros_like(parameter.Value).DetachFromDisposeScope()));
    }

    /// <summary>One step on [rows, length + 1] tokens; the time that the projection took, in milliseconds.</summary>
    public double Step(Tensor tokens)
    {
        using var scope = NewDisposeScope();
        long length = tokens.shape[1] - 1;
        Tensor logits = Forward(tokens.narrow(1, 0, length));
        F.cross_entropy(logits.flatten(0, 1), tokens.narrow(1, 1, length).flatten()).backward();
        using var noGrad = no_grad();
        double squares = _weights.All.Sum(parameter => parameter.Value.grad!.square().sum().item<float>());
        double scale = 1 / (Math.Sqrt(squares / _weights.All.Sum(parameter => parameter.Value.numel())) + 1e-5);
        _steps++;
        double projection = 0;
        foreach (NamedParameter parameter in _weights.All)
        {
            Adam(parameter, scale);
            long start = System.Diagnostics.Stopwatch.GetTimestamp();
            Project(parameter);
            projection += System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            if (parameter.Value.dim() > 1 && parameter.Name != "bigram_table") parameter.Value.mul_(1 - (Decay * LearningRate));
            parameter.Value.grad!.zero_();
        }

        return projection;
    }

    public void Dispose()
    {
        foreach ((Tensor first, Tensor second) in _moments.Values)
        {
            first.Dispose();
            second.Dispose();
        }

        _weights.Dispose();
    }

    private Tensor Forward(Tensor ids)
    {
        (long rows, long length) = (ids.shape[0], ids.shape[1]);
        Tensor x = Lookup(_weights.TokenEmbedding, ids);
        foreach (BlockWeights block in _weights.Blocks)
        {
            Tensor read = Keep(Norm(x, block.Ln1));
            Tensor[] qkv = [.. Linear(read, block.Attention.Qkv!).chunk(3, -1).Select(part => Keep(part).view(rows, length, _config.NHeads, _config.DHead).transpose(1, 2))];
            Tensor z = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], is_casual: true).transpose(1, 2).flatten(2);
            x = x + Keep(Linear(z, block.Attention.Out));
            x = x + Keep(Linear(Keep(F.gelu(Linear(Keep(Norm(x, block.Ln2)), block.Mlp.In))), block.Mlp.Out));
        }

        Tensor logits = F.linear(Norm(x, _weights.LnFinal), _weights.Unembedding.Value);
        return _weights.Bigram is null ? logits : logits + Lookup(_weights.Bigram, ids);
    }

    private static Tensor Lookup(NamedParameter table, Tensor ids) => table.Value.index_select(0, ids.flatten()).view(ids.shape[0], ids.shape[1], -1);

    private Tensor Norm(Tensor x, NormWeights norm) => x * (x.square().mean([-1], keepdim: true) + _config.NormEpsilon).rsqrt() * norm.Gain.Value;

    private static Tensor Linear(Tensor x, LinearWeights map) => F.linear(x, map.Weight.Value, map.Bias?.Value);

    private Tensor Keep(Tensor x)
    {
        if (_config.ActivationFraction >= 1) return x;
        (_, Tensor indices) = x.abs().topk((int)(_config.ActivationFraction * x.shape[^1]), -1, sorted: false);
        return zeros_like(x).scatter(-1, indices, x.gather(-1, indices));
    }

    private void Adam(NamedParameter parameter, double scale)
    {
        using var scope = NewDisposeScope();
        (Tensor first, Tensor second) = _moments[parameter.Name];
        Tensor gradient = parameter.Value.grad!.mul_(scale);
        first.mul_(Beta1).add_(gradient, alpha: 1 - Beta1);
        second.mul_(Beta2).addcmul_(gradient, gradient, value: 1 - Beta2);
        Tensor denominator = second.sqrt().div_(Math.Sqrt(1 - Math.Pow(Beta2, _steps))).add_(Epsilon);
        parameter.Value.addcdiv_(first, denominator, value: -LearningRate / (1 - Math.Pow(Beta1, _steps)));
    }

    private void Project(NamedParameter parameter)
    {
        if (parameter.Value.dim() < 2 || parameter.Name == "bigram_table") return;
        bool isEmbedding = parameter.Name is "transformer.wte.weight" or "lm_head.weight";
        double density = isEmbedding ? _embeddingDensity : _density;
        if (density >= 1) return;
        using var scope = NewDisposeScope();
        Tensor scores = parameter.Value.abs();
        if (!isEmbedding)
        {
            int axis = parameter.Name.EndsWith("c_proj.weight", StringComparison.Ordinal) ? 0 : 1;
            (_, Tensor floor) = scores.topk(FewestPerNeuron, axis, sorted: false);
            scores.scatter_(axis, floor, full_like(floor, 1e10, dtype: ScalarType.Float32));
        }

        (_, Tensor kept) = scores.flatten().topk((int)(density * scores.numel()), sorted: false);
        Tensor mask = zeros_like(scores).flatten().scatter_(0, kept, ones_like(kept, dtype: ScalarType.Float32)).view_as(parameter.Value);
        parameter.Value.mul_(mask);
    }
}
