"""The command line of whoever runs a stack."""
