"""Benchmarks: `make bench` prints one table. It prefers ratios and counts, because absolute times
depend more on the machine than on the code."""
