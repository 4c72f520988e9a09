using Lab.Tensors;

namespace Lab.ModelHost.Generation;

/// <summary>Something that a generation gave: a captured tensor or a token.</summary>
/// <param name="Step">The tensor's decoding step; null for the prefill.</param>
/// <param name="Tensor">The tensor; null for a token.</param>
/// <param name="Token">The token; null for a tensor.</param>
internal readonly record struct GenerationEvent(int? Step, HostTensor? Tensor, GeneratedToken? Token);
