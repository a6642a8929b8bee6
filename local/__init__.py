"""The embedded AWS: what `make up` starts on one machine, and what `make down` stops."""
