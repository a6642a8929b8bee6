"""The integration of any model: requests and answers pass as they are."""
