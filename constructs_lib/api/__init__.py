"""The REST API as API Gateway has it: its routes, what it refuses by itself, who may come in."""
