"""Rendering: golden files, the API server's opinion of them, and the rules of merging."""
