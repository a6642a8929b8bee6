"""Mutation tests of the code that runs in Lambda: `make mutants`.

Each mutant is the real code with one small change (`changes`). Those tests of which a line ran the
changed line must fail on it (`covering` finds them). `runner` forks a process for each mutant, out
of one that has imported and collected everything. `survivors.toml` lists the mutants that no test
can or should find, with reasons. Why it is made in this way: docs/decisions/0100.

The deliberate bugs of `tests/simulation` are others: written by hand, about interleavings and
crashes.
"""
