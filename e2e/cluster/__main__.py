import sys
from e2e.cluster import binaries
binaries.build(sys.argv[2:] or binaries.PROGRAMS)
