"""Serves an ASGI application with health, metrics and proof."""
