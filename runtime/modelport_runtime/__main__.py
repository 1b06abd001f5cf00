"""`python -m modelport_runtime` is `modelport-runtime`."""

from modelport_runtime.main import main

main()
