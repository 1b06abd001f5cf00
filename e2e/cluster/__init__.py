"""A real Kubernetes from packages, in a network namespace of its own: `python -m e2e.cluster --help`.

Modules: `binaries` builds the programs, `controlplane` runs etcd and the API server (also without root, for tests),
`network`, `node` and `addons` add what a real node needs, `cluster` puts them together, `given` is the user's own
cluster where KUBECONFIG names one.
"""
