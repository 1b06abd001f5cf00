"""Serves models on Kubernetes: the operator behind the ModelDeployment resource."""
