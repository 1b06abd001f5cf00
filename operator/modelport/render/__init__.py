"""A resolved spec and its container facts become the desired children. Pure."""
