"""Adapters: they implement the ports of `lambdas.core` with botocore."""
