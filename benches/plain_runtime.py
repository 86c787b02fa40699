"""ONNX Runtime's CPU provider with its defaults on one window of noise: what a user without sat-mcp would get."""

import json
import resource
import sys
import time

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
image = np.random.default_rng(0).normal(size=session.get_inputs()[0].shape).astype(np.float32)
session.run(None, {"image": image})
began, before = time.perf_counter(), time.process_time()
session.run(None, {"image": image})
figures = {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - before}
print(json.dumps({**figures, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
