"""Benchmarks: each prints figures beside the physical limit of the same work, in one run."""
