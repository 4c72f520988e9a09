"""Makes small random checkpoints of families that have no golden folder yet, and what the published formulas give on them.

    python3 make_golden.py Golden

Plain loops over heads and positions in float64, on purpose: it shares no idea with the C# code that it judges. The weights are
rounded to their stored type first. Needs numpy.
"""
import json
import math
import os
import struct
import sys

import numpy as np

OUT = sys.argv[1]
erf = np.vectorize(math.erf)


# ---- files

def to_bf16(x):
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def stored(x, kind):
    """The array that goes to the file, and the values that it stands for."""
    if kind == "BF16":
        bits = to_bf16(x)
        return bits, (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    array = np.ascontiguousarray(x, {"F32": np.float32, "F16": np.float16}[kind])
    return array, array.astype(np.float64)


def write_safetensors(path, tensors, kind="F32", metadata=None):
    header, offset, blobs = {}, 0, []
    if metadata:
        header["__metadata__"] = metadata
    for name, array in tensors.items():
        code = {"int64": "I64", "uint16": "BF16", "float16": "F16", "float32": "F32"}[array.dtype.name]
        blob = array.tobytes()
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


# ---- pieces

def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def rms(x, gain, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * gain


def layer_norm(x, gain, bias, eps):
    centered = x - x.mean(-1, keepdims=True)
    y = centered / np.sqrt((centered * centered).mean(-1, keepdims=True) + eps) * gain
    return y if bias is None else y + bias


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def silu(x):
    return x / (1 + np.exp(-x))


def abs_top_k(x, k):
    kept = np.zeros_like(x)
    for index in np.ndindex(x.shape[:-1]):
        best = np.argsort(-np.abs(x[index]), kind="stable")[:k]
        kept[index][best] = x[index][best]
    return kept


def inverse_frequencies(d_head, theta, scaling):
    frequencies = []
    for i in range(d_head // 2):
        f = theta ** (-2 * i / d_head)
        if scaling and scaling["rope_type"] == "linear":
            f /= scaling["factor"]
        if scaling and scaling["rope_type"] == "llama3":
            wavelength = 2 * math.pi / f
            original = scaling["original_max_position_embeddings"]
            low, high = original / scaling["low_freq_factor"], original / scaling["high_freq_factor"]
            if wavelength > low:
                f /= scaling["factor"]
            elif wavelength >= high:
                smooth = (original / wavelength - scaling["low_freq_factor"]) / (scaling["high_freq_factor"] - scaling["low_freq_factor"])
                f = (1 - smooth) * f / scaling["factor"] + smooth * f
        frequencies.append(f)
    return frequencies


def rotate(x, frequencies):
    """x: [batch, pos, head, d_head]; channel i turns with channel i + d_head / 2."""
    y, half = x.copy(), x.shape[-1] // 2
    for pos in range(x.shape[1]):
        for i, f in enumerate(frequencies):
            c, s = math.cos(pos * f), math.sin(pos * f)
            a, b = x[:, pos, :, i], x[:, pos, :, i + half]
            y[:, pos, :, i], y[:, pos, :, i + half] = a * c - b * s, b * c + a * s
    return y


def attend(q, k, v, scale, window=None, sink=None):
    """q: [batch, pos, head, d]; k, v: [batch, pos, shared head, d]. Gives z and the pattern [batch, head, query, key]."""
    batch, length, heads, _ = q.shape
    group = heads // k.shape[2]
    z, pattern = np.zeros(q.shape), np.zeros((batch, heads, length, length))
    for b in range(batch):
        for h in range(heads):
            for t in range(length):
                first = 0 if window is None else max(0, t - window + 1)
                scores = k[b, first:t + 1, h // group] @ q[b, t, h] * scale
                if sink is not None:
                    scores = np.append(scores, sink[h])
                p = softmax(scores)[:t + 1 - first]
                pattern[b, h, t, first:t + 1] = p
                z[b, t, h] = p @ v[b, first:t + 1, h // group]
    return z, pattern


class Recorder(dict):
    def add(self, name, value):
        self["act/" + name] = value
        return value


def finish(folder, tokens, logits, acts):
    write_safetensors(os.path.join(folder, "expected.safetensors"), {
        "tokens": tokens.astype(np.int64), "logits": logits.astype(np.float32), **{name: value.astype(np.float32) for name, value in acts.items()}})


def start(name, config, file="config.json"):
    folder = os.path.join(OUT, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, file), "w") as stream:
        json.dump(config, stream, indent=1)
        stream.write("\n")
    return folder


# ---- Llama and its descendants

def llama_like(name, config, seed, kind="F32", shards=1, length=14, gemma=False, prefix=""):
    rng = np.random.default_rng(seed)
    text = config.get("text_config", config)
    d, heads, shared = text["hidden_size"], text["num_attention_heads"], text["num_key_value_heads"]
    dh, mlp, vocab, layers = text.get("head_dim") or d // heads, text["intermediate_size"], text["vocab_size"], text["num_hidden_layers"]
    eps, qk_norm, tied = text.get("rms_norm_eps", 1e-6), gemma or config["model_type"] == "qwen3", text.get("tie_word_embeddings", gemma)
    files, values = {}, {}

    def make(key, *shape, scale=None):
        x = rng.normal(size=shape) * (scale or 1 / math.sqrt(shape[-1]))
        if "norm" in key:
            x = rng.normal(size=shape) * 0.2 + (0 if gemma else 1)
        files[prefix + key], values[key] = stored(x, kind)

    make("model.embed_tokens.weight", vocab, d, scale=1.0)
    for i in range(layers):
        p = f"model.layers.{i}."
        make(p + "input_layernorm.weight", d)
        make(p + "self_attn.q_proj.weight", heads * dh, d)
        make(p + "self_attn.k_proj.weight", shared * dh, d)
        make(p + "self_attn.v_proj.weight", shared * dh, d)
        make(p + "self_attn.o_proj.weight", d, heads * dh)
        if text.get("attention_bias") or config["model_type"] == "qwen2":
            for part, size in (("q", heads * dh), ("k", shared * dh), ("v", shared * dh)):
                make(p + f"self_attn.{part}_proj.bias", size)
            if text.get("attention_bias"):
                make(p + "self_attn.o_proj.bias", d)
        if qk_norm:
            make(p + "self_attn.q_norm.weight", dh)
            make(p + "self_attn.k_norm.weight", dh)
        make(p + "post_attention_layernorm.weight", d)
        if gemma:
            make(p + "pre_feedforward_layernorm.weight", d)
            make(p + "post_feedforward_layernorm.weight", d)
        make(p + "mlp.gate_proj.weight", mlp, d)
        make(p + "mlp.up_proj.weight", mlp, d)
        make(p + "mlp.down_proj.weight", d, mlp)
    make("model.norm.weight", d)
    if not tied:
        make("lm_head.weight", vocab, d)

    w = lambda key: values[key]
    norm = lambda x, key: rms(x, w(key) + (1 if gemma else 0), eps)
    linear = lambda x, key: x @ w(key + ".weight").T + (w(key + ".bias") if key + ".bias" in values else 0)
    acts = Recorder()
    tokens = rng.integers(0, vocab, (2, length))
    x = w("model.embed_tokens.weight")[tokens] * (math.sqrt(d) if gemma else 1)
    acts.add("hook_embed", x)
    for i in range(layers):
        p, b = f"model.layers.{i}.", f"blocks.{i}."
        acts.add(b + "hook_resid_pre", x)
        read = acts.add(b + "attn.hook_read", norm(x, p + "input_layernorm.weight"))
        split = lambda y: y.reshape(*y.shape[:2], -1, dh)
        q = acts.add(b + "attn.hook_q", split(linear(read, p + "self_attn.q_proj")))
        k = acts.add(b + "attn.hook_k", split(linear(read, p + "self_attn.k_proj")))
        v = acts.add(b + "attn.hook_v", split(linear(read, p + "self_attn.v_proj")))
        if qk_norm:
            q, k = norm(q, p + "self_attn.q_norm.weight"), norm(k, p + "self_attn.k_norm.weight")
        window, theta, scaling = None, text.get("rope_theta", 10000.0), text.get("rope_scaling")
        if config["model_type"] == "mistral":
            window = text["sliding_window"]
        if "layer_types" in text:
            window = text["sliding_window"] if text["layer_types"][i] == "sliding_attention" else None
        elif gemma and (i + 1) % text.get("sliding_window_pattern", 6) != 0:
            window = text["sliding_window"]
        if gemma and window is not None:
            theta, scaling = text.get("rope_local_base_freq", 10000.0), None
        frequencies = inverse_frequencies(dh, theta, scaling)
        q, k = acts.add(b + "attn.hook_rot_q", rotate(q, frequencies)), acts.add(b + "attn.hook_rot_k", rotate(k, frequencies))
        scale = text.get("query_pre_attn_scalar", dh) ** -0.5
        z, pattern = attend(q, k, v, scale, window)
        acts.add(b + "attn.hook_z", z), acts.add(b + "attn.hook_pattern", pattern)
        out = linear(z.reshape(*z.shape[:2], -1), p + "self_attn.o_proj")
        if gemma:
            out = norm(out, p + "post_attention_layernorm.weight")
        acts.add(b + "hook_attn_out", out)
        x = acts.add(b + "hook_resid_mid", x + out)
        read = norm(x, p + ("pre_feedforward_layernorm" if gemma else "post_attention_layernorm") + ".weight")
        acts.add(b + "mlp.hook_read", read)
        gate, up = acts.add(b + "mlp.hook_pre", linear(read, p + "mlp.gate_proj")), acts.add(b + "mlp.hook_pre_linear", linear(read, p + "mlp.up_proj"))
        post = acts.add(b + "mlp.hook_post", (gelu_tanh(gate) if gemma else silu(gate)) * up)
        out = linear(post, p + "mlp.down_proj")
        if gemma:
            out = norm(out, p + "post_feedforward_layernorm.weight")
        acts.add(b + "hook_mlp_out", out)
        x = acts.add(b + "hook_resid_post", x + out)
    scale = np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    acts.add("ln_final.hook_scale", scale), acts.add("ln_final.hook_normalized", x / scale)
    read = acts.add("unembed.hook_in", norm(x, "model.norm.weight"))
    logits = read @ w("model.embed_tokens.weight" if tied else "lm_head.weight").T
    cap = text.get("final_logit_softcapping")
    if cap:
        logits = cap * np.tanh(logits / cap)

    folder = start(name, config)
    if shards == 1:
        write_safetensors(os.path.join(folder, "model.safetensors"), files, metadata={"format": "pt"})
    else:
        keys, shard_of = list(files), {}
        for n in range(shards):
            part = f"model-{n + 1:05d}-of-{shards:05d}.safetensors"
            chosen = keys[n::shards]
            write_safetensors(os.path.join(folder, part), {key: files[key] for key in chosen}, metadata={"format": "pt"})
            shard_of.update({key: part for key in chosen})
        total = sum(array.nbytes for array in files.values())
        with open(os.path.join(folder, "model.safetensors.index.json"), "w") as stream:
            json.dump({"metadata": {"total_size": total}, "weight_map": shard_of}, stream, indent=1)
    finish(folder, tokens, logits, acts)


# ---- GPT-2 as some files have it: every key under "transformer."

def gpt2(name, seed):
    rng = np.random.default_rng(seed)
    d, heads, layers, vocab, length = 24, 3, 2, 50, 12
    config = {"model_type": "gpt2", "n_embd": d, "n_head": heads, "n_layer": layers, "n_positions": 16, "vocab_size": vocab, "n_inner": 40,
              "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "scale_attn_by_inverse_layer_idx": True}
    files, values = {}, {}

    def make(key, *shape, scale=None):
        x = rng.normal(size=shape) * (scale or 1 / math.sqrt(shape[0])) + (1 if ".ln_" in key and "weight" in key or "ln_f.weight" in key else 0)
        files["transformer." + key], values[key] = stored(x, "F32")

    make("wte.weight", vocab, d, scale=0.5)
    make("wpe.weight", 16, d, scale=0.3)
    for i in range(layers):
        for part, shape in (("attn.c_attn", (d, 3 * d)), ("attn.c_proj", (d, d)), ("mlp.c_fc", (d, 40)), ("mlp.c_proj", (40, d))):
            make(f"h.{i}.{part}.weight", *shape)
            make(f"h.{i}.{part}.bias", shape[1], scale=0.2)
        for part in ("ln_1", "ln_2"):
            make(f"h.{i}.{part}.weight", d, scale=0.2)
            make(f"h.{i}.{part}.bias", d, scale=0.2)
        files[f"transformer.h.{i}.attn.masked_bias"] = np.array(-1e4, np.float32)
    make("ln_f.weight", d, scale=0.2)
    make("ln_f.bias", d, scale=0.2)
    files["lm_head.weight"] = files["transformer.wte.weight"]

    w, acts = values.__getitem__, Recorder()
    conv = lambda x, key: x @ w(key + ".weight") + w(key + ".bias")
    tokens = rng.integers(0, vocab, (2, length))
    x = acts.add("hook_embed", w("wte.weight")[tokens]) + acts.add("hook_pos_embed", np.broadcast_to(w("wpe.weight")[:length], (2, length, d)))
    for i in range(layers):
        h, b = f"h.{i}.", f"blocks.{i}."
        acts.add(b + "hook_resid_pre", x)
        qkv = conv(layer_norm(x, w(h + "ln_1.weight"), w(h + "ln_1.bias"), 1e-5), h + "attn.c_attn")
        q, k, v = (part.reshape(2, length, heads, -1) for part in np.split(qkv, 3, -1))
        z, pattern = attend(q, k, v, 1 / math.sqrt(d // heads) / (i + 1))
        acts.add(b + "attn.hook_pattern", pattern)
        x = x + acts.add(b + "hook_attn_out", conv(z.reshape(2, length, d), h + "attn.c_proj"))
        acts.add(b + "hook_resid_mid", x)
        post = gelu_tanh(acts.add(b + "mlp.hook_pre", conv(layer_norm(x, w(h + "ln_2.weight"), w(h + "ln_2.bias"), 1e-5), h + "mlp.c_fc")))
        x = acts.add(b + "hook_resid_post", x + acts.add(b + "hook_mlp_out", conv(acts.add(b + "mlp.hook_post", post), h + "mlp.c_proj")))
    logits = layer_norm(x, w("ln_f.weight"), w("ln_f.bias"), 1e-5) @ w("wte.weight").T
    folder = start(name, config)
    write_safetensors(os.path.join(folder, "model.safetensors"), files)
    finish(folder, tokens, logits, acts)


# ---- circuit_sparsity with concatenated positions, and the names that old configs have

def concatenated(name, seed, is_rms, extra):
    rng = np.random.default_rng(seed)
    d, heads, dh, pos, mlp, layers, vocab, block, length = 24, 3, 8, 6, 56, 2, 40, 16, 13
    config = {"block_size": block, "vocab_size": vocab, "n_layer": layers, "n_head": heads, "n_embd": d, "n_mlp": mlp, "dropout": 0.0, "bias": True,
              "ln_bias": True, "rms_norm": is_rms, "residual_activation_type": "identity", "activation_type": "gelu", "afrac": None,
              "tied_unembed": False, "bigram_table_rank": None, "enable_bigram_table": False, "d_pos_emb": pos, "sinusoidal_cat_pos_emb": False,
              "flash": True, "sink": False, "pfrac": 0.5, "expansion_factor": 8, "use_tied_aux_matrix": False, **extra}
    values, files = {}, {}
    afrac, sites, relu = config["afrac"], config.get("afrac_loctypes", "attn_in,attn_out,mlp_in,mlp_out").split(","), config["residual_activation_type"] == "relu"
    sparse = lambda x, site: abs_top_k(x, int(afrac * x.shape[-1])) if afrac is not None and site in sites else x

    def make(key, *shape, scale=None):
        x = rng.normal(size=shape) * (scale or 1 / math.sqrt(shape[-1])) + (1 if "ln_" in key and key.endswith("weight") else 0)
        files[key], values[key] = stored(x, "F32")

    make("transformer.wte.weight", vocab, d, scale=1.0)
    if config["sinusoidal_cat_pos_emb"]:
        half = max(1, pos // 2)
        table = np.zeros((block, pos))
        for i in range(half):
            period = 4.0 * (block / 4.0) ** (i / (half - 1) if half > 1 else 0)
            table[:, i], table[:, half + i] = np.sin(np.arange(block) * 2 * math.pi / period), np.cos(np.arange(block) * 2 * math.pi / period)
        files["transformer.wpe.weight"], values["transformer.wpe.weight"] = stored(table, "F32")
    else:
        make("transformer.wpe.weight", block, pos, scale=1.0)
    for i in range(layers):
        h = f"transformer.h.{i}."
        for part, size in (("ln_1", d), ("ln_2", d), ("ln_p1", pos), ("ln_p2", pos)):
            make(h + part + ".weight", size, scale=0.2)
            if not is_rms:
                make(h + part + ".bias", size, scale=0.2)
        for part, shape in (("attn.c_attn", (3 * heads * dh, d + pos)), ("attn.c_proj", (d, heads * dh)), ("mlp.c_fc", (mlp, d + pos)), ("mlp.c_proj", (d, mlp))):
            make(h + part + ".weight", *shape)
            make(h + part + ".bias", shape[0], scale=0.2)
    make("transformer.ln_f.weight", d, scale=0.2)
    if not is_rms:
        make("transformer.ln_f.bias", d, scale=0.2)
    make("lm_head.weight", vocab, d)

    w, acts = values.__getitem__, Recorder()
    norm = lambda x, key: rms(x, w(key + ".weight"), 1.1920929e-07) if is_rms else layer_norm(x, w(key + ".weight"), w(key + ".bias"), 1e-5)
    linear = lambda x, key: x @ w(key + ".weight").T + w(key + ".bias")
    act = (lambda x: np.maximum(x, 0)) if config["activation_type"] == "relu" else (lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))))
    after = lambda x: np.maximum(x, 0) if relu else x
    tokens = rng.integers(0, vocab, (2, length))
    x, p = w("transformer.wte.weight")[tokens], np.broadcast_to(w("transformer.wpe.weight")[:length], (2, length, pos))
    for i in range(layers):
        h = f"transformer.h.{i}."
        acts.add(f"{i}.resid_in", x)
        read = acts.add(f"{i}.attn.act_in", sparse(np.concatenate([norm(x, h + "ln_1"), norm(p, h + "ln_p1")], -1), "attn_in"))
        q, k, v = np.split(linear(read, h + "attn.c_attn"), 3, -1)
        q, k, v = acts.add(f"{i}.attn.q", sparse(q, "attn_q")), acts.add(f"{i}.attn.k", sparse(k, "attn_k")), acts.add(f"{i}.attn.v", sparse(v, "attn_v"))
        z, _ = attend(*(part.reshape(2, length, heads, dh) for part in (q, k, v)), 1 / math.sqrt(dh))
        acts.add(f"{i}.attn.y", z.reshape(2, length, -1))
        x = after(x + acts.add(f"{i}.attn.resid_delta", sparse(linear(z.reshape(2, length, -1), h + "attn.c_proj"), "attn_out")))
        x = sparse(x, "resid_post_attn")
        acts.add(f"{i}.resid_mid", x)
        read = acts.add(f"{i}.mlp.act_in", sparse(np.concatenate([norm(x, h + "ln_2"), norm(p, h + "ln_p2")], -1), "mlp_in"))
        post = acts.add(f"{i}.mlp.post_act", sparse(act(linear(read, h + "mlp.c_fc")), "mlp_neuron"))
        x = after(x + acts.add(f"{i}.mlp.resid_delta", sparse(linear(post, h + "mlp.c_proj"), "mlp_out")))
        x = sparse(x, "resid_post_mlp")
    acts.add("final_resid", x)
    logits = norm(x, "transformer.ln_f") @ w("lm_head.weight").T
    folder = start(name, config, "beeg_config.json")
    write_safetensors(os.path.join(folder, "model.safetensors"), files)
    finish(folder, tokens, logits, acts)


base = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 61,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": False, "torch_dtype": "float32"}
llama_like("hf-llama31-sharded", {**base, "model_type": "llama", "hidden_act": "silu", "rope_theta": 500.0, "attention_bias": True, "rope_scaling": {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}, 1, shards=3, length=40)
llama_like("hf-mistral-window", {**base, "model_type": "mistral", "hidden_act": "silu", "rope_theta": 10000.0, "sliding_window": 5}, 2, kind="BF16")
llama_like("hf-qwen3-tied", {**base, "model_type": "qwen3", "hidden_act": "silu", "head_dim": 12, "rope_theta": 1e6, "tie_word_embeddings": True, "rms_norm_eps": 1e-6}, 3, kind="F16")
llama_like("hf-qwen2-layer-types", {**base, "model_type": "qwen2", "hidden_act": "silu", "rope_theta": 1e4, "use_sliding_window": True, "sliding_window": 4,
                                   "layer_types": ["full_attention", "sliding_attention"]}, 4)
gemma = {**base, "num_hidden_layers": 3, "head_dim": 12, "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "query_pre_attn_scalar": 20, "sliding_window": 4,
         "sliding_window_pattern": 3, "rope_theta": 1e5, "rope_local_base_freq": 1e3, "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "attention_bias": False}
del gemma["tie_word_embeddings"]
llama_like("hf-gemma3", {**gemma, "model_type": "gemma3_text", "final_logit_softcapping": None, "attn_logit_softcapping": None}, 5, gemma=True)
llama_like("hf-gemma3-nested", {"model_type": "gemma3", "text_config": {**gemma, "model_type": "gemma3_text"}, "vision_config": {"hidden_size": 8}}, 6, gemma=True, prefix="language_model.")
gpt2("hf-gpt2-prefixed", 7)
concatenated("sparse-concatenated-old-keys", 8, True, {"afrac": 0.25, "afrac_loctypes": "attn_in,attn_q,attn_k,attn_v,attn_out,mlp_in,mlp_neuron,mlp_out"})
concatenated("dense-sinusoidal-relu", 9, False, {"sinusoidal_cat_pos_emb": True, "activation_type": "relu", "residual_activation_type": "relu",
                                               "afrac": 0.5, "afrac_loctypes": "resid_post_attn,resid_post_mlp"})
