"""A local stand-in for Amazon SageMaker: control plane, runtime echo and endpoint life cycles.

Inside out: `lifecycle`, `account`, `catalog`, `fleet`, `tagging`, `listing` and `world` are pure
(no thread, socket or clock; every call is given `now`); `service` adds the lock, the clock and
the faults; `server`, `events` and `__main__` touch the network.
"""
