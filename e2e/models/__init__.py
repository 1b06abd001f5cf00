"""Models for the end-to-end tests: converted, and served by a hub made of folders."""
