"""Effects towards the cluster: API client, watch, apply, events, lease."""
