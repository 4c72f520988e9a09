using Lab.Models.Interventions;
using Lab.Tensors;

namespace Lab.Models.Gradients;

/// <summary>A gradient that was computed elsewhere, at one place of a model.</summary>
/// <param name="Selector">One hook's selected elements, after the interventions there; "logits" stands for unembed.hook_out.</param>
/// <param name="Gradient">FP32 or FP64, finite, of the selected shape. What falls on padding is not used.</param>
public sealed record UpstreamGradient(ActivationSelector Selector, HostTensor Gradient);
