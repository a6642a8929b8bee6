"""The API's address on this machine: hands requests on to the emulator's API Gateway."""
