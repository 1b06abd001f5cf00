"""The command line: run, render."""
