using Lab.Models;
using Lab.Tensors;
using Lab.Tensors.Kernels;
using static TorchSharp.torch;

namespace Lab.BridgeAlignment.Bridges;

/// <summary>
/// The maps between the residual streams of a dense and a sparse model (Gao et al. 2025, section 2.3): at each site an
/// encoder (linear, then AbsTopK) and a decoder (linear). Owns its parameters; one thread owns a bridge.
/// </summary>
internal sealed class Bridge : IDisposable
{
    private readonly List<NamedParameter> _parameters = [];

    /// <summary>Takes each parameter from <paramref name="source"/> by name and shape; ownership passes to the bridge.</summary>
    public Bridge(BridgeShape shape, Device device, Func<string, long[], Tensor> source)
    {
        Shape = shape;
        Device = device;
        LinearMap Take(string name, long inputs, long outputs) =>
            new(Own(source, $"{name}.weight", outputs, inputs), Own(source, $"{name}.bias", outputs));

        Sites = [.. shape.Sites.Select(hook => new BridgeSite(
            hook,
            Take($"encoder.{hook}", shape.DenseWidth, shape.SparseWidth),
            Take($"decoder.{hook}", shape.SparseWidth, shape.DenseWidth)))];
    }

    /// <summary>The sizes.</summary>
    public BridgeShape Shape { get; }

    /// <summary>Where the parameters are.</summary>
    public Device Device { get; }

    /// <summary>The maps, in the order of the forward pass.</summary>
    public IReadOnlyList<BridgeSite> Sites { get; }

    /// <summary>All parameters in a fixed order: "encoder.blocks.0.hook_resid_pre.weight".</summary>
    public IReadOnlyList<NamedParameter> Parameters => _parameters;

    /// <summary>A bridge of zeros.</summary>
    public static Bridge Zero(BridgeShape shape, Device device) => new(shape, device, (_, size) => zeros(size));

    /// <summary>Translates dense residuals at a site into sparse ones.</summary>
    /// <param name="site">The site's place.</param>
    /// <param name="dense">[tokens, dense width].</param>
    /// <returns>[tokens, sparse width] with at most <see cref="BridgeShape.Kept"/> nonzero entries a row.</returns>
    public Tensor Encode(int site, Tensor dense) => AbsTopK.Apply(Sites[site].Encoder.Apply(dense), Shape.Kept);

    /// <summary>Translates sparse residuals at a site into dense ones.</summary>
    /// <param name="site">The site's place.</param>
    /// <param name="sparse">[tokens, sparse width].</param>
    /// <returns>[tokens, dense width].</returns>
    public Tensor Decode(int site, Tensor sparse) => Sites[site].Decoder.Apply(sparse);

    /// <summary>Copies the parameters.</summary>
    public IReadOnlyList<HostTensor> Save() => [.. _parameters.Select(parameter => parameter.Value.ToHost(parameter.Name))];

    public void Dispose()
    {
        foreach (NamedParameter parameter in _parameters) parameter.Value.Dispose();
    }

    private Tensor Own(Func<string, long[], Tensor> source, string name, params long[] shape)
    {
        Tensor tensor = source(name, shape);
        if (!tensor.shape.SequenceEqual(shape))
            throw new InvalidDataException($"{name} has the shape [{string.Join(", ", tensor.shape)}] where the bridge needs [{string.Join(", ", shape)}].");

        Tensor owned = tensor.to(Device).DetachFromDisposeScope();
        _parameters.Add(new NamedParameter(name, owned));
        return owned;
    }
}
