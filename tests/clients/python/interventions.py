"""Selectors, interventions and objectives, each a function that makes the message of the API.

A place is a hook's name, an alias or a glob ("blocks.*.hook_resid_post"), or a selector that `at` makes. A value is a number, an
array, or a tensor of the store that `stored` names.
"""
import numpy as np
from lab.model_host.v1 import gradient_pb2 as gradients
from lab.model_host.v1 import hook_pb2 as hooks
from lab.model_host.v1 import intervention_pb2 as pb
from lab.model_host.v1.weight_edit_pb2 import WeightEdit
from tensors import to_tensor

ABSOLUTE = pb.STRENGTH_UNIT_ABSOLUTE
RESIDUAL_NORM = pb.STRENGTH_UNIT_RESIDUAL_NORM
PREFILL, DECODE, BOTH = hooks.PHASE_PREFILL, hooks.PHASE_DECODE, hooks.PHASE_BOTH


def at(*names, layers=None, rows=(), positions=(), ranges=(), tokens=(), texts=(), start=None, heads=(), channels=(), phase=None, steps=None):
    """Which part of which activations.

    layers, steps: a number, or (first, last) with both included. positions: numbers, -1 being a row's last token; ranges: pairs of
    them. tokens: IDs; texts: substrings of the prompt. start: a position or a text, from which on tokens are meant.
    """
    selector = hooks.Selector(
        hook=names[0] if names else "", hooks=names[1:], rows=rows, positions=positions, position_ranges=map(_range, ranges), token_ids=tokens,
        texts=[hooks.TextSpan(text=text) for text in texts], heads=heads, channels=channels, phase=phase)
    if layers is not None:
        selector.layers.CopyFrom(_range(layers))
    if steps is not None:
        selector.steps.CopyFrom(_range(steps))
    if isinstance(start, str):
        getattr(selector, "from").text.text = start
    elif start is not None:
        getattr(selector, "from").position = start
    return selector


def selector(place):
    """The selector of a place."""
    return place if isinstance(place, hooks.Selector) else at(place)


def stored(artifact, file="", key=""):
    """A tensor in a safetensors file of the store."""
    return pb.TensorSource(stored=pb.StoredTensor(artifact=artifact, file=file, key=key))


def source(value):
    """A value as the API takes it."""
    return value if isinstance(value, pb.TensorSource) else pb.TensorSource(inline=to_tensor(np.asarray(value, np.float32)))


def add(place, value, coefficient=None, unit=ABSOLUTE, **options):
    """x + coefficient * value: steering."""
    return _intervention(place, options, add=pb.AddOperation(value=source(value), coefficient=coefficient, unit=unit))


def set_to(place, value, **options):
    """The value."""
    return _intervention(place, options, set=pb.SetOperation(value=source(value)))


def scale(place, factor, **options):
    """factor * x."""
    return _intervention(place, options, scale=pb.ScaleOperation(factor=factor))


def zero(place, **options):
    """0: zero ablation."""
    return _intervention(place, options, zero=pb.ZeroOperation())


def mean(place, value=None, **options):
    """The channel's mean, given or that of the batch: mean ablation."""
    return _intervention(place, options, mean=pb.MeanOperation(value=None if value is None else source(value)))


def patch(place, source_row, **options):
    """What another row of the batch has there: activation patching."""
    return _intervention(place, options, patch=pb.PatchOperation(source_row=source_row))


def clamp(place, least=None, most=None, **options):
    """x, moved into an interval."""
    return _intervention(place, options, clamp=pb.ClampOperation(min=least, max=most))


def noise(place, std, seed=0, unit=ABSOLUTE, **options):
    """x + Gaussian noise."""
    return _intervention(place, options, noise=pb.NoiseOperation(std=std, seed=seed, unit=unit))


def project_out(place, directions, **options):
    """x without its components along directions: directional ablation."""
    return _intervention(place, options, project_out=pb.ProjectOutOperation(directions=source(directions)))


def project_onto(place, directions, **options):
    """Only the components along directions."""
    return _intervention(place, options, project_onto=pb.ProjectOntoOperation(directions=source(directions)))


def swap_subspace(place, directions, source_row, **options):
    """x with another row's components along directions: distributed interchange."""
    return _intervention(place, options, swap_subspace=pb.SwapSubspaceOperation(directions=source(directions), source_row=source_row))


def freeze(place, **options):
    """What the same rows have there without any intervention."""
    return _intervention(place, options, freeze=pb.FreezeOperation())


def skip(place, **options):
    """Without the component: a block's hook_resid_post, hook_attn_out or hook_mlp_out."""
    return _intervention(place, options, skip=pb.SkipOperation())


def edit_weights(parameter, *, low_rank=None, bias=None, coefficient=None, tokens=None, allow_unfired=False):
    """A change to a parameter for one request: W + coefficient * b @ a for low_rank=(b, a), and coefficient * bias added to its output.

    tokens: an `at()` without hooks, for the tokens whose computation uses it; by default all.
    """
    edit = WeightEdit(parameter=parameter, coefficient=coefficient, tokens=tokens, allow_unfired=allow_unfired)
    if low_rank is not None:
        edit.low_rank.b.CopyFrom(source(low_rank[0]))
        edit.low_rank.a.CopyFrom(source(low_rank[1]))
    if bias is not None:
        edit.bias.CopyFrom(source(bias))
    return edit


def cross_entropy(reduction=gradients.REDUCTION_MEAN):
    """The loss of every position's next token."""
    return gradients.Objective(cross_entropy=gradients.CrossEntropyObjective(reduction=reduction))


def logit_difference(token_a, token_b=None, position=-1):
    """In every row, the logit of one token minus that of another."""
    pair = gradients.LogitPair(position=position, token_a=token_a, token_b=token_b)
    return gradients.Objective(logit_difference=gradients.LogitDifferenceObjective(pairs=[pair]))


def kl_to_clean(positions=()):
    """How far the interventions moved the predictions."""
    return gradients.Objective(kl_to_clean=gradients.KlToCleanObjective(positions=positions))


def upstream(place, gradient):
    """A gradient that was computed outside, at activations or at "logits"."""
    one = gradients.UpstreamGradient(selector=selector(place), gradient=source(gradient))
    return gradients.Objective(upstream=gradients.UpstreamObjective(gradients=[one]))


def by_operand(index):
    """The gradient by the value of an intervention of the request."""
    return gradients.GradientTarget(operand=index)


def by_parameter(name):
    """The gradient by a parameter."""
    return gradients.GradientTarget(parameter=name)


def by(place):
    """The gradient by activations."""
    return place if isinstance(place, gradients.GradientTarget) else gradients.GradientTarget(activation=selector(place))


def _intervention(place, options, **operation):
    return pb.Intervention(selector=selector(place), allow_unfired=options.pop("allow_unfired", False), **operation, **options)


def _range(value):
    first, last = (value, value) if isinstance(value, int) else value
    return hooks.IndexRange(first=first, last=last)
