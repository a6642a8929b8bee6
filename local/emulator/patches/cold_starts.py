"""Concurrent calls of a cold function do not each start a worker at the same time.

On AWS, environments start in parallel on many machines. Here 60 callers of a cold function started
60 workers on two cores, and 53 of the calls exceeded API Gateway's 29 seconds. So only a few
workers start at a time, and the other callers take the first worker that is free.

Callers never wait for a worker that is in use. They only wait while other workers start, and a
start needs no caller. So functions that call each other, or themselves, cannot block one another.
"""

import os
import threading
from importlib import import_module
from typing import Any

MOST_AT_A_TIME = max(2, os.cpu_count() or 0)

lambda_runtime: Any = import_module("ministack.core.lambda_runtime")
lambda_svc: Any = import_module("ministack.services.lambda_svc")


def apply() -> None:
    """Add a gate before the pool of workers, in both modules that use its functions."""
    acquire = lambda_runtime.acquire_worker
    release = lambda_runtime.release_worker
    spawn = lambda_runtime.Worker._spawn
    changed = threading.Condition()
    starting: set[int] = set()

    def has_started(worker: Any) -> None:
        with changed:
            starting.discard(id(worker))
            changed.notify_all()

    def acquire_in_turn(name: str, config: Any, code: bytes, **options: Any) -> Any:
        key = lambda_runtime._worker_key(name, config, options.get("qualifier", "$LATEST"))
        with changed:
            changed.wait_for(lambda: _is_one_free(key) or len(starting) < MOST_AT_A_TIME)
            worker, reason = acquire(name, config, code, **options)
            if reason == "spawn":
                starting.add(id(worker))
            return worker, reason

    def release_and_notify(worker: Any) -> None:
        release(worker)
        has_started(worker)

    def spawn_and_notify(self: Any) -> None:
        try:
            spawn(self)
        finally:
            has_started(self)

    lambda_runtime.acquire_worker = lambda_svc.acquire_worker = acquire_in_turn
    lambda_runtime.release_worker = lambda_svc.release_worker = release_and_notify
    lambda_runtime.Worker._spawn = spawn_and_notify


def _is_one_free(key: str) -> bool:
    with lambda_runtime._lock:
        return any(not worker.in_use for worker in lambda_runtime._workers.get(key, ()))
