"""Wiring: kopf, settings, metrics, health server, main."""
