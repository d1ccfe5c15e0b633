"""Benchmarks: what a scan costs, beside the fastest that the machine can do."""
