"""Runs and captures once for each line of its input, and prints the milliseconds until all arrays are there."""
import sys
import time

import grpc
import numpy as np
from lab.model_host.v1 import model_host_service_pb2_grpc as rpc
from lab.model_host.v1 import run_pb2 as pb

address, hook, tokens = sys.argv[1:]
host = rpc.ModelHostServiceStub(grpc.insecure_channel(address, [("grpc.max_receive_message_length", 16 << 20), ("grpc.http2.lookahead_bytes", 8 << 20)]))
request = pb.RunRequest(model="models/benchmark", captures=[{"hook": hook}])
for row in tokens.split(";"):
    request.input.tokens.rows.add(ids=[int(token) for token in row.split(",")])
for _ in sys.stdin:
    start = time.perf_counter()
    arrays, summary = {}, None
    for response in host.Run(request):
        kind = response.WhichOneof("response")
        if kind == "summary":
            summary = response.summary
        if kind != "frame":
            continue
        if response.frame.WhichOneof("frame") == "header":
            header, at = response.frame.header, 0
            array = np.empty(header.byte_count, np.uint8)
            arrays[header.name] = array.view(np.float32).reshape(header.shape)
        else:
            data = response.frame.chunk.data
            array[at:at + len(data)] = np.frombuffer(data, np.uint8)
            at += len(data)
    assert summary is not None and len(arrays) == 12, list(arrays)
    print(f"{(time.perf_counter() - start) * 1000:.3f}", flush=True)
