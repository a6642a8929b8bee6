"""The whole meter on simulated AWS: real use cases and real adapters, simulated time, faults by
seed.

`make simulate` runs many lives. `make test` runs a life, and kills each use case at each of its
calls.

Where to look:

- *Time and AWS*: `kernel` (time, and actors that take turns), `wire` (each call of an adapter: it
  takes time, and may fail), `faults` (what fails, and how often), `tables` and
  `expressions` (DynamoDB), `queues` (SQS), `sagemaker`, `refusals` (requests that SageMaker
  refuses for good).
- *The meter*: `stack` (one stack: use cases, adapters, invocations), `stage` (a region with the
  watched stack, and perhaps a second one), `versions` (functions that run older code).
- *Who acts*: `people` (users, and a team that deploys), `takers` (people who want endpoints of
  others), `outsiders` (people with a console).
- *What must hold*: `watch` (the invariants), `ledger` and `oracle` (leases, holds and windows,
  computed independently), `causes` (what ended a running time), `trespass` (what may be touched),
  `conduct` (locks, queues, waits).
- *Lives*: `life` (one, made from one seed), `crowd` (many endpoints due at once), `__main__` (the
  command).
- *Situations*: `scene` (a small world without faults), `preparations`, `situations` and
  `takeovers` (the situations), `situation` (runs one with a fault or a rival), `trials` (all of
  them).
- *Mutants*: `mutants`, `mutants_of_takeovers`, `mutants_of_sessions`, `mutants_of_causes`:
  deliberate bugs, and where each must show.

There are three stand-ins for SageMaker, each for its own purpose. Contract tests keep them equal.

- `tests.fakes.FakeEndpoints`: a dictionary behind the core's port, for the stories of
  `tests/unit`.
- `local.simulator`: SageMaker's HTTP API with its lifecycles, its wording and IAM, for `make up`,
  the contract tests and the end-to-end tests. `local.simulator.world` is its pure part, without a
  server.
- `tests.simulation.sagemaker`: that same pure part, on the simulation's clock and with its
  faults.
"""
