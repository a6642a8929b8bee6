"""The integration for any model: requests and answers pass unchanged."""
