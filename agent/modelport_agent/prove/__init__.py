"""Asks the model over localhost and judges the answers: question and judge (pure), client and loop (effects)."""
