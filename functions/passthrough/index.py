"""For models whose own requests and answers suit their callers."""

from lambdas.handlers.integration import integration

handler = integration()
