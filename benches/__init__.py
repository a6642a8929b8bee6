"""Benchmarks: `make bench` prints one table. Ratios and counts rather than absolute times, which
say more about the machine than about the code."""
