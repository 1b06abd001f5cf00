"""What the operator costs, beside operators that it is compared with, on a real etcd and API server: `make bench`."""
