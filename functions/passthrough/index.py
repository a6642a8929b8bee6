"""Passes requests and answers unchanged, for models that need no translation."""

from lambdas.handlers.integration import integration

handler = integration()
