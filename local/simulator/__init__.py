"""A local stand-in for Amazon SageMaker: control plane, runtime echo, endpoint life cycles, and
what Application Auto Scaling keeps about endpoints.

Inside out: `lifecycle`, `account`, `catalog`, `fleet`, `tagging`, `autoscaling`, `listing` and
`world` are pure (no thread, socket or clock; every call is given `now`); `service` adds the lock,
the clock and the faults; `server`, `events` and `__main__` touch the network.
"""
