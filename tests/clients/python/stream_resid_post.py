"""Runs a hosted model on prompts and saves the residual stream after every layer: see README.md beside this file."""
import sys

import numpy as np
from modelhost import Host

gateway, model, output, *prompts = sys.argv[1:]
with Host(gateway, timeout=60) as host:
    host.load(model)
    run = host.run(model, prompts, capture=["blocks.*.hook_resid_post"])
planned = [tensor.name for tensor in run.started.tensors]
assert run.names == planned, f"{run.names} instead of {planned}"
np.savez(output, **dict(run.tensors))
for name, array in run.tensors:
    print(name, array.shape, f"{array.mean():.6f}")
