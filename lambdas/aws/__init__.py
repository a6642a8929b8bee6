"""Adapters: they implement the ports of `lambdas.core` with boto3."""
