using static TorchSharp.torch;

namespace Lab.Models;

/// <summary>A parameter under its checkpoint's name.</summary>
/// <param name="Name">The key: "transformer.h.0.attn.c_attn.weight", "model.layers.0.self_attn.q_proj.weight".</param>
/// <param name="Value">The parameter, owned by the weights.</param>
public sealed record NamedParameter(string Name, Tensor Value);
