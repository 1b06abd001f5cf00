"""From what was observed to what is to be done and said: plan, readiness, diagnosis, status. Pure."""
