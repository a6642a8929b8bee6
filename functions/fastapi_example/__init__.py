"""A web application as the integration for a model."""
