"""The API's address on this machine. It forwards requests to the emulator's API Gateway."""
