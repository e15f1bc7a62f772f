"""Benchmarks: each figure beside its peer, measured in the same run on the same data. `make bench` runs them all."""
