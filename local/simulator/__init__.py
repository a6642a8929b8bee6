"""A local simulator of Amazon SageMaker: control plane, echo runtime and endpoint life cycles, with
the scalable targets of Application Auto Scaling.

From the inside out: `lifecycle`, `account`, `catalog`, `fleet`, `tagging`, `autoscaling`, `listing`
and `world` are pure (no thread, socket or clock; every call takes `now`). `service` adds the lock,
the clock and the faults. `application`, `state_change_events` and `__main__` use the network.
"""
