"""Brings model files into the pod: plan (pure), hub and transfer (network), place (disk)."""
