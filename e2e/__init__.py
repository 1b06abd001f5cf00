"""Everything that runs on a real machine: the cluster, the images, the models, and the tests that drive them."""
