"""The loop: cache, queue, workers, reconcile, resync."""
