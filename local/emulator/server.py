"""Serves MiniStack's ASGI application from this process, on loopback only."""

import asyncio
import contextlib
import importlib
import os
import resource

from client.loopback import reach_directly
from local.serving.repeats import Repeats

LOOPBACK = "127.0.0.1"


def settings(port: int) -> dict[str, str]:
    """Return the environment that MiniStack reads on import. Its functions inherit it."""
    return {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": LOOPBACK,
        "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{port}",
        # These have their own listeners, one of them on every interface.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # MiniStack removes containers that it believes to be its own: block the user's Docker.
        "DOCKER_HOST": "unix:///nonexistent",
        # State ends with the process, so nothing on disk becomes stale.
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        # MiniStack keeps the keys that sign users' tokens in a folder in /tmp, where everybody can
        # read or provide them. Below a device no folder can be made: then they stay in memory.
        "STATE_DIR": os.devnull,
        # IAM policies are enforced for roles; the key in the environment is the root user's.
        "AUTH": "true",
    }


def serve(port: int) -> None:
    """Run until SIGTERM or SIGINT, then stop the workers of the Lambda functions."""
    os.environ.update(settings(port))
    reach_directly(os.environ)
    application = importlib.import_module("ministack.app").app
    importlib.import_module("local.emulator.patches").apply()
    door = importlib.import_module("local.emulator.door").Door(application, Repeats(application))
    _raise_open_files_limit()
    try:
        asyncio.run(_run(door, port))
    finally:
        importlib.import_module("ministack.core.lambda_runtime").reset()


async def _run(application: object, port: int) -> None:
    hypercorn = importlib.import_module("hypercorn.asyncio")
    config = importlib.import_module("hypercorn.config").Config()
    config.bind = [f"{LOOPBACK}:{port}"]
    # Longer than clients keep idle connections (Go: 90 s). If the server closes first, it may cut
    # off a request that just arrived: it is executed, the client retries it and gets a 409.
    config.keep_alive_timeout = 600
    config.graceful_timeout = 1
    await hypercorn.serve(application, config)


def _raise_open_files_limit() -> None:
    """Allow bursts of connections beyond the usual soft limit of 256 or 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
