"""Runs a hosted model on prompts and saves the residual stream after every layer: see README.md beside this file."""
import sys

import grpc
import numpy as np
from lab.model_host.v1 import input_pb2 as inputs
from lab.model_host.v1 import model_host_service_pb2_grpc as rpc
from lab.model_host.v1 import model_pb2 as models
from lab.model_host.v1 import run_pb2 as runs
from lab.tensor.v1 import tensor_pb2 as tensors

DTYPES = {tensors.DATA_TYPE_FP32: np.float32, tensors.DATA_TYPE_FP16: np.float16, tensors.DATA_TYPE_FP64: np.float64}


def read_tensors(frames):
    """Puts frames together; a gap, a missing chunk or a wrong length is an error."""
    header = None
    for frame in frames:
        if frame.WhichOneof("frame") == "header":
            header, chunks = frame.header, []
        else:
            assert frame.chunk.sequence == len(chunks), f"{header.name}: chunk {frame.chunk.sequence} after {len(chunks)}"
            chunks.append(frame.chunk.data)
        if len(chunks) == header.chunk_count:
            data = b"".join(chunks)
            assert len(data) == header.byte_count, f"{header.name}: {len(data)} of {header.byte_count} bytes"
            yield header.name, np.frombuffer(data, DTYPES[header.data_type]).reshape(header.shape)


gateway, model, output, *prompts = sys.argv[1:]
host = rpc.ModelHostServiceStub(grpc.insecure_channel(gateway, [("grpc.max_receive_message_length", 16 << 20)]))
host.LoadModel(models.LoadModelRequest(name=model), timeout=60)
request = runs.RunRequest(model=model, input=inputs.Input(texts=inputs.Texts(texts=prompts)), captures=[{"hook": "blocks.*.hook_resid_post"}])
responses = host.Run(request, timeout=60)
planned = [tensor.name for tensor in next(responses).started.tensors]
arrays = dict(read_tensors(response.frame for response in responses if response.WhichOneof("response") == "frame"))
assert list(arrays) == planned, f"{list(arrays)} instead of {planned}"
np.savez(output, **arrays)
for name, array in arrays.items():
    print(name, array.shape, f"{array.mean():.6f}")
