"""How the lists of a PodTemplateSpec are merged, from Kubernetes' OpenAPI (generated, committed)."""
