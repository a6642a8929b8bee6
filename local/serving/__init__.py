"""How the gateway and the simulator serve HTTP: on loopback, with uvicorn and h11."""
