"""The images of the project and the CPU images of the model servers, built with buildah into the cache."""
