"""The rules of the meter. Standard library only: no clock, no network, no AWS."""
