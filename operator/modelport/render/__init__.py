"""From a ModelDeployment's spec to the children it should have. Pure: same input, same output, and no I/O."""
