"""Runs a hosted model by the Open Inference Protocol alone, with stubs of that protocol only.

    check_open_inference.py <address> <model> <expected.safetensors>
"""
import json
import sys

import grpc
import numpy as np
from inference.v2 import open_inference_pb2 as pb
from inference.v2 import open_inference_pb2_grpc as rpc

HOOKS = ["blocks.0.hook_resid_post", "transformer.h.1.output", "blocks.1.attn.hook_pattern"]
EXPECTED = ["act/blocks.0.hook_resid_post", "act/blocks.1.hook_resid_post", "act/blocks.1.attn.hook_pattern"]


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    start = 8 + int.from_bytes(data[:8], "little")
    entries = {name: entry for name, entry in json.loads(data[8:start]).items() if name != "__metadata__"}
    return {
        name: np.frombuffer(data[start:][slice(*entry["data_offsets"])], {"F32": "<f4", "I64": "<i8"}[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in entries.items()
    }


def near(actual, expected):
    assert actual.shape == expected.shape, f"{actual.shape} instead of {expected.shape}"
    found = np.max(np.abs(actual - expected) / np.maximum(1, np.abs(expected)))
    assert found <= 1e-5, f"they differ by {found}"


def request(ids, outputs=(), raw=True, **parameters):
    message = pb.ModelInferRequest(model_name=model, id="r", outputs=[{"name": name} for name in outputs])
    for name, value in parameters.items():
        message.parameters[name].string_param = value
    tensor = message.inputs.add(name="input_ids", datatype="INT64", shape=ids.shape)
    if raw:
        message.raw_input_contents.append(ids.astype("<i8").tobytes())
    else:
        tensor.contents.int64_contents.extend(ids.flat)
    return message


def arrays(response):
    for i, output in enumerate(response.outputs):
        if response.raw_output_contents:
            yield np.frombuffer(response.raw_output_contents[i], "<f4").reshape(output.shape)
        else:
            yield np.array(output.contents.fp32_contents, np.float32).reshape(output.shape)


address, model, path = sys.argv[1:]
expected = read(path)
tokens, logits = expected["tokens"], expected["logits"]
stub = rpc.GRPCInferenceServiceStub(grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)]))

assert stub.ServerLive(pb.ServerLiveRequest()).live and stub.ServerReady(pb.ServerReadyRequest()).ready
assert stub.ModelReady(pb.ModelReadyRequest(name=model)).ready and not stub.ModelReady(pb.ModelReadyRequest(name="nothing")).ready
metadata = stub.ModelMetadata(pb.ModelMetadataRequest(name=model))
assert [tensor.name for tensor in metadata.inputs] == ["input_ids", "attention_mask"] and metadata.outputs[0].name == "logits"
print(f"server: {stub.ServerMetadata(pb.ServerMetadataRequest()).name}, {len(metadata.outputs)} outputs")

for kind, raw in (("raw", True), ("typed", False)):
    response = stub.ModelInfer(request(tokens, [*HOOKS, "logits"], raw))
    assert response.id == "r" and response.model_version in metadata.versions and bool(response.raw_output_contents) == raw
    for found, name in zip(arrays(response), [*EXPECTED, "logits"], strict=True):
        near(found, expected[name])
    near(next(arrays(stub.ModelInfer(request(tokens, raw=raw)))), logits)
    print(f"{kind}: {len(HOOKS)} activations and logits")

padded = request(np.pad(tokens, ((0, 0), (3, 0))))
padded.inputs.add(name="attention_mask", datatype="BOOL", shape=(len(tokens), 3 + tokens.shape[1]))
padded.raw_input_contents.append(np.pad(np.ones(tokens.shape, bool), ((0, 0), (3, 0))).tobytes())
(found,) = arrays(stub.ModelInfer(padded))
assert not np.any(found[:, :3])
near(found[:, 3:], logits)
print("padding: logits")

response = stub.ModelInfer(request(tokens, raw=False, data_type="BF16"))
bits = np.frombuffer(response.raw_output_contents[0], "<u2").astype(np.uint32) << 16
assert response.outputs[0].datatype == "BF16" and np.all(np.abs(bits.view(np.float32).reshape(logits.shape) - logits) <= np.abs(logits) / 256 + 1e-5)
print("bf16: logits")

spoilt = [
    ("inputs[0].shape", lambda message: message.inputs[0].shape.append(1)),
    ("raw_input_contents[0]", lambda message: message.raw_input_contents.__setitem__(0, b"1")),
    ("outputs[0].name", lambda message: message.outputs.add(name="nothing")),
]
for field, spoil in spoilt:
    message = request(tokens)
    spoil(message)
    try:
        stub.ModelInfer(message)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and field in error.details(), error.details()
    else:
        raise AssertionError(f"{field}: the call succeeded")
try:
    stub.ModelMetadata(pb.ModelMetadataRequest(name="nothing"))
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.NOT_FOUND, error.details()
else:
    raise AssertionError("an unknown model was found")
print(f"errors: {len(spoilt) + 1} requests")
