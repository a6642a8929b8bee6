"""Adapters: the ports of `lambdas.core` spoken to AWS through boto3."""
