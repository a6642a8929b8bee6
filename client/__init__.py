"""The command line for people who run a stack."""
