"""One file per runtime: a resolved spec becomes the facts of a container. Pure."""
