"""Checks a ModelHost from outside: see README.md beside this file.

    check_model_host.py <address> <checks> <golden folder>...

Checks are names with commas between them, or "all". Each golden folder has a checkpoint and expected.safetensors, what a reference implementation computed with it.
"""
import sys
from pathlib import Path

import numpy as np
from crc32c import crc32c
from interventions import RESIDUAL_NORM, add, at, by_operand, edit_weights, logit_difference, mean, set_to
from lab.tensor.v1.tensor_pb2 import TensorFrame
from modelhost import Host, LabError, budget, run_request
from tensors import CorruptTensor, TensorReader, read_safetensors

TOLERANCE = 1e-5
PROMPTS = 1000
HOOK = "blocks.0.hook_resid_post"
EVERY_RESID_POST = "blocks.*.hook_resid_post"


def difference(actual, expected):
    """The largest difference, absolute where values are small and relative where they are large."""
    assert actual.size == expected.size, f"{actual.shape} instead of {expected.shape}"
    return float(np.max(np.abs(actual.reshape(expected.shape).astype(np.float64) - expected) / np.maximum(1, np.abs(expected)), initial=0))


def near(actual, expected, tolerance=TOLERANCE):
    found = difference(actual, expected)
    assert found <= tolerance, f"they differ by {found}"
    return found


def check_golden(host, model, folder):
    """Logits and every recorded activation are those of the reference implementation."""
    expected = read_safetensors(folder / "expected.safetensors")
    sites = [name.removeprefix("act/") for name in expected if name.startswith("act/")]
    names = {name: hook.name for hook in host.hooks(model) for name in (hook.name, *hook.aliases)}
    run = host.run(model, expected["tokens"], capture=sites, logits="all")
    assert run.names == [tensor.name for tensor in run.started.tensors], run.names
    worst = max(near(run[names[site]], expected[f"act/{site}"]) for site in sites)
    return f"{len(sites)} activations within {worst:.1e}, logits within {near(run.logits, expected['logits']):.1e}"


def check_steering(host, model, tokens, width):
    """A steered run is the one that is told what steering makes of the activations, and other runs are as they were."""
    vector = np.random.default_rng(1).normal(size=width).astype(np.float32)
    clean = host.run(model, tokens, capture=[HOOK], logits="all")
    steered = host.run(model, tokens, capture=[HOOK], logits="all", steer={HOOK: vector})
    near(steered[HOOK], clean[HOOK] + vector)
    patched = host.run(model, tokens, logits="all", interventions=[set_to(HOOK, clean[HOOK] + vector)])
    near(steered.logits, patched.logits)
    moved = difference(steered.logits, clean.logits)
    assert moved > 1e-2, f"logits moved by {moved} only"
    assert list(steered.summary.fire_counts) == [1] and len(steered.started.intervention_hashes[0]) == 64

    last = host.run(model, tokens, capture=[HOOK], interventions=[add(at(HOOK, positions=[-1]), vector, coefficient=-2)])
    near(last[HOOK][:, -1], clean[HOOK][:, -1] - 2 * vector)
    np.testing.assert_array_equal(last[HOOK][:, :-1], clean[HOOK][:, :-1])

    unit = host.run(model, tokens, capture=[HOOK], interventions=[add(HOOK, vector, coefficient=0.5, unit=RESIDUAL_NORM)])
    norms = np.linalg.norm(clean[HOOK], axis=-1, keepdims=True)
    near(unit[HOOK], clean[HOOK] + 0.5 * norms * vector / np.linalg.norm(vector))

    again = host.run(model, tokens, capture=[HOOK], logits="all")
    np.testing.assert_array_equal(again.logits, clean.logits)
    return f"logits move by up to {moved:.2f}"


def check_frames(host, model, tokens):
    """Frames that are lost or changed on the way are found."""
    assert crc32c(b"123456789") == 0xE3069283
    responses = host.stub.Run(run_request(model, tokens, capture=[HOOK], logits="last"))
    frames = [response.frame for response in responses if response.WhichOneof("response") == "frame"]
    changed = TensorFrame()
    changed.CopyFrom(frames[1])
    changed.chunk.data = bytes([changed.chunk.data[0] ^ 1]) + changed.chunk.data[1:]
    for spoilt in (frames[1:], frames[:-1], frames[:1] + frames[2:], [frames[0], changed, *frames[2:]]):
        reader = TensorReader()
        try:
            for frame in spoilt:
                reader.accept(frame)
            reader.complete()
        except CorruptTensor:
            continue
        raise AssertionError("spoilt frames were read")
    return f"{len(frames)} frames"


def check_encodings(host, model, tokens):
    """Other types and encodings are the raw values, as exactly as they say."""
    raw = host.run(model, tokens, capture=[HOOK])[HOOK]
    np.testing.assert_array_equal(host.run(model, tokens, capture=[HOOK], encoding="sparse")[HOOK], raw)
    np.testing.assert_array_equal(host.run(model, tokens, capture=[HOOK], dtype="fp16")[HOOK], raw.astype(np.float16))
    bf16 = host.run(model, tokens, capture=[HOOK], dtype="bf16")[HOOK]
    assert np.all(np.abs(bf16 - raw) <= np.abs(raw) * 2.0**-8) and not np.any(bf16.view(np.uint32) & 0xFFFF)
    int8 = host.run(model, tokens, capture=[HOOK], encoding="int8_scaled")[HOOK]
    assert np.all(np.abs(int8 - raw) <= np.max(np.abs(raw), axis=-1, keepdims=True) / 127 * 0.501)
    return "sparse, fp16, bf16, int8"


def check_padding(host, model, tokens):
    """Rows of a batch are what they are alone, whichever side their padding is on."""
    rows = [list(tokens[0]), list(tokens[1, :5])]
    right, left = (host.run(model, rows, capture=[HOOK], padding=side)[HOOK] for side in ("right", "left"))
    for row, ids in enumerate(rows):
        alone = host.run(model, ids, capture=[HOOK])[HOOK][0]
        near(right[row, :len(ids)], alone)
        near(left[row, -len(ids):], alone)
    assert not np.any(right[1, 5:]) and not np.any(left[1, :-5])
    return f"rows of {len(rows[0])} and {len(rows[1])} tokens"


def check_edits(host, model, tokens, width):
    """A weight edit adds its product to what the matrix gives, and Diff says what changes."""
    parameter = "lm_head.weight"
    rng = np.random.default_rng(5)
    d_vocab = host.parameters(model)[parameter].shape[0]
    b, a, bias, vector = (0.3 * rng.normal(size=size).astype(np.float32) for size in ((d_vocab, 2), (2, width), d_vocab, width))
    clean = host.run(model, tokens, capture=["unembed.hook_in"], logits="all")
    edit = edit_weights(parameter, low_rank=(b, a), bias=bias, coefficient=2)
    edited = host.run(model, tokens, logits="all", weight_edits=[edit])
    near(edited.logits, clean.logits + 2 * (clean["unembed.hook_in"] @ a.T @ b.T + bias))
    assert list(edited.summary.weight_edit_fire_counts) == [tokens.size]

    both = {"steer": {HOOK: vector}, "weight_edits": [edit], "logits": "all"}
    changed = host.run(model, tokens, **both)
    diff = host.diff(model, tokens, capture=[HOOK], divergence="final", deltas="deltas_and_norms", **both)
    near(diff[f"delta/{HOOK}"], np.broadcast_to(vector, (*tokens.shape, width)))
    near(diff[f"norm/{HOOK}"], np.full(tokens.shape, np.linalg.norm(vector)))
    near(diff["delta/logits"], changed.logits - clean.logits)
    before, after = (run.logits - np.log(np.sum(np.exp(run.logits.astype(np.float64)), axis=-1, keepdims=True)) for run in (clean, changed))
    near(diff["kl"], np.sum(np.exp(before) * (before - after), axis=-1))
    return f"mean divergence {np.mean(diff.summary.mean_kl):.3f}"


def check_many(host, model, tokens):
    """The residual stream of many prompts of different lengths, over one stream."""
    rng = np.random.default_rng(2)
    prompts = [tokens.flat[rng.integers(tokens.size, size=1 + i % tokens.shape[1])] for i in range(PROMPTS)]
    names = host.run(model, prompts[0], capture=[EVERY_RESID_POST]).names
    runs = dict(host.run_many((str(i), run_request(model, prompt, capture=[EVERY_RESID_POST])) for i, prompt in enumerate(prompts)))
    assert sorted(runs, key=int) == [str(i) for i in range(PROMPTS)]
    for i, prompt in enumerate(prompts):
        run = runs[str(i)]
        assert run.rows == [list(prompt)] and run.names == names, f"prompt {i}: {run.names}"
        assert all(array.shape[:2] == (1, len(prompt)) and np.all(np.isfinite(array)) for _, array in run.tensors), f"prompt {i}"
    for i in range(0, PROMPTS, 97):
        for name, array in host.stream(model, prompts[i], capture=[EVERY_RESID_POST]):
            near(runs[str(i)][name], array)
    return f"{PROMPTS} prompts, {sum(array.nbytes for run in runs.values() for _, array in run.tensors)} bytes"


def check_generation(host, model, tokens, width):
    """Tokens that are generated under an intervention are those that steered runs over ever longer prompts predict."""
    steer = {HOOK: np.random.default_rng(3).normal(size=width).astype(np.float32)}
    row = [int(token) for token in tokens[0, :4]]
    steps = list(host.generate(model, row, max_new_tokens=5, capture=[HOOK], steer=steer, ignore_eos=True))
    assert len(steps) == 5
    for step, (token, arrays) in enumerate(steps):
        run = host.run(model, row, capture=[HOOK], steer=steer, logits="last")
        logits = run.logits[0].astype(np.float64)
        assert token.step == step and token.id == int(np.argmax(logits)), f"step {step}: {token.id}"
        assert abs(token.logprob - (logits[token.id] - np.log(np.sum(np.exp(logits))))) <= 1e-4
        near(arrays[HOOK], run[HOOK] if step == 0 else run[HOOK][:, -1:])
        row.append(token.id)
    return f"tokens {row[4:]}"


def check_gradients(host, model, folder, tokens, width):
    """Gradients are what small interventions do, in double precision."""
    precise = f"{model}-fp64"
    host.load(precise, folder=str(folder), dtype="fp64")
    token_a, token_b = 1, 2
    direction = np.random.default_rng(4).normal(size=width).astype(np.float32)

    def value(step):
        logits = host.run(precise, tokens, logits="last", dtype="fp64", interventions=[add(HOOK, direction, coefficient=step)]).logits
        return float(np.sum(logits[:, token_a] - logits[:, token_b]))

    zero = [add(HOOK, np.zeros(width))]
    run = host.gradients(precise, tokens, logit_difference(token_a, token_b), [HOOK, by_operand(0)], interventions=zero)
    slope = float(np.sum(run[f"grad/{HOOK}"].astype(np.float64) * direction))
    # Of a power of two every step is exact.
    step = 2.0**-10
    measured = (value(step) - value(-step)) / (2 * step)
    assert abs(slope - measured) <= 1e-4 * max(1, abs(measured)), f"{slope} instead of {measured}"
    near(run["grad/interventions[0]"], np.sum(run[f"grad/{HOOK}"], axis=(0, 1)), 1e-4)
    near(np.array(sum(run.summary.objectives)), np.array(value(0)), 1e-9)
    host.unload(precise)
    return f"slope {slope:.6f}, measured {measured:.6f}"


def check_statistics(host, model, tokens):
    """What is measured is what the captured activations give, in one call or merged; the stored mean ablates as the batch's own does."""
    names = ["mean", "variance", "norm", "quantiles", "top_tokens", "range"]
    captured = host.run(model, tokens, capture=[HOOK])[HOOK].astype(np.float64)
    flat = captured.reshape(-1, captured.shape[-1])
    whole = host.statistics(model, [tokens], [HOOK], names, quantiles=[0.5], top_k=3, store="")
    near(whole[f"{HOOK}/mean"], flat.mean(axis=0))
    near(whole[f"{HOOK}/variance"], flat.var(axis=0))
    near(whole[f"{HOOK}/norm"][0], np.linalg.norm(flat, axis=1).mean())
    near(whole[f"{HOOK}/max"], flat.max(axis=0))
    median = np.quantile(flat, 0.5, axis=0, method="lower")
    assert np.all(np.abs(whole[f"{HOOK}/quantiles"][:, 0] - median) <= 0.01 * np.abs(median) + 1e-5)
    row, position, token = whole[f"{HOOK}/top_tokens"][0, 0]
    near(captured[row, position, 0], flat[:, 0].max())
    assert tokens[row][position] == token and whole.summary.hooks[0].tokens == len(flat)

    shards = [host.statistics(model, [tokens[i:i + 1]], [HOOK], names, top_k=3, send_state=True) for i in range(len(tokens))]
    merged = host.merge(shards, quantiles=[0.5])
    for name in ("mean", "variance", "norm", "max", "top_values"):
        near(merged[f"{HOOK}/{name}"], whole[f"{HOOK}/{name}"])

    given, own = (host.run(model, tokens, logits="all", interventions=[mean(HOOK, value)]).logits for value in (whole.stored_mean(HOOK), None))
    return f"{len(flat)} tokens; logits of mean ablation within {near(given, own, 1e-4):.1e}"


def check_errors(host, model, tokens, width):
    """Bad requests fail with a status that names the field."""
    cases = [
        ("INVALID_ARGUMENT", "captures[1]", lambda: host.run(model, tokens, capture=[HOOK, "blocks.*.hook_nothing"])),
        ("INVALID_ARGUMENT", "input.tokens.rows[1].ids", lambda: host.run(model, [[1], [1, 1 << 20]])),
        ("INVALID_ARGUMENT", "interventions[0].add.value", lambda: host.run(model, tokens, steer={HOOK: np.ones(width + 1)})),
        ("INVALID_ARGUMENT", "prompt", lambda: list(host.generate(model, np.zeros((0, 1), int)))),
        ("NOT_FOUND", None, lambda: host.run("models/nothing", tokens)),
        ("RESOURCE_EXHAUSTED", None, lambda: host.run(model, tokens, logits="all", budget=budget(max_bytes=8))),
    ]
    for code, field, call in cases:
        try:
            call()
        except LabError as error:
            assert error.code == code and error.reason, error
            assert field is None or any(path.startswith(field) for path in error.fields), f"{error.fields} instead of {field}"
        else:
            raise AssertionError(f"{code} {field}: the call succeeded")
    # A request that fails does not end the stream.
    hooks = {"good": HOOK, "bad": "blocks.*.hook_nothing", "other": HOOK}
    results = dict(host.run_many((name, run_request(model, tokens, capture=[hook])) for name, hook in hooks.items()))
    assert results["good"].names == results["other"].names == [HOOK] and "captures[0].hook" in results["bad"].fields, results
    return f"{len(cases)} requests"


def main(address, wanted, folders):
    with Host(address, timeout=300) as host:
        for folder in (Path(folder).resolve() for folder in folders):
            model, tokens = f"golden/{folder.name}", read_safetensors(folder / "expected.safetensors")["tokens"]
            width = host.load(model, folder=str(folder)).d_model
            checks = {
                "golden": lambda: check_golden(host, model, folder),
                "steering": lambda: check_steering(host, model, tokens, width),
                "frames": lambda: check_frames(host, model, tokens),
                "encodings": lambda: check_encodings(host, model, tokens),
                "padding": lambda: check_padding(host, model, tokens),
                "edits": lambda: check_edits(host, model, tokens, width),
                "many": lambda: check_many(host, model, tokens),
                "generation": lambda: check_generation(host, model, tokens, width),
                "gradients": lambda: check_gradients(host, model, folder, tokens, width),
                "statistics": lambda: check_statistics(host, model, tokens),
                "errors": lambda: check_errors(host, model, tokens, width),
            }
            for name in checks if wanted == "all" else wanted.split(","):
                print(f"{folder.name}: {name}: {checks[name]()}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
