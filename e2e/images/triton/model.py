"""A stand-in for Triton's onnxruntime backend: serves model.onnx with Python's onnxruntime, on CPU, through the Python backend.

Takes the same model folder and config.pbtxt. It has no optimisation settings, and inputs and outputs have to be written in the
configuration: it completes nothing by itself.
"""

import json
from pathlib import Path

import onnxruntime
import triton_python_backend_utils as pb

THREADS = 2


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        file = config.get("default_model_filename") or "model.onnx"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        path = Path(args["model_repository"]) / args["model_version"] / file
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        tensors = {name: pb.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs}
        try:
            results = self.session.run(self.outputs, tensors)
        except Exception as error:
            return pb.InferenceResponse(error=pb.TritonError(f"onnxruntime: {error}"))
        return pb.InferenceResponse([pb.Tensor(name, value) for name, value in zip(self.outputs, results, strict=True)])
