"""The Lambda functions of the endpoint meter: the whole content of their zip."""
