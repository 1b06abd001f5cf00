"""Triton's own schema of a model's configuration, as a descriptor set (generated, committed)."""
