"""Writes `model_config.binpb`, the descriptors of Triton's ModelConfig, from the installed tritonclient.

    python -m modelport.runtimes.schema.generate

The generated module of tritonclient is run from its file, alone: importing the package would need grpc and numpy.
"""

from __future__ import annotations

import importlib.util
from importlib.metadata import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

SOURCE = "tritonclient/grpc/model_config_pb2.py"
TARGET = Path(__file__).with_name("model_config.binpb")


def descriptor_set() -> bytes:
    """The descriptor set as tritonclient carries it."""
    located = [file.locate() for file in files("tritonclient") or () if file.as_posix() == SOURCE]
    spec = importlib.util.spec_from_file_location("model_config_pb2", str(located[0]))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    file = FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
    return FileDescriptorSet(file=[file]).SerializeToString(deterministic=True)


if __name__ == "__main__":
    TARGET.write_bytes(descriptor_set())
