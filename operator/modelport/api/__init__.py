"""What the user writes and reads: names, spec, status and the CRD made from them. Imports nothing else of ours."""
