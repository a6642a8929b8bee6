"""A web application as the integration of a model."""
