"""The whole meter on simulated AWS: real use cases and real adapters, simulated time, faults by
seed.

`make simulate` lives many lives; `make test` lives some, and kills each use case at each of its
calls.

Where to look:

- *Time and AWS*: `kernel` (time, and actors that take turns), `wire` (each call of an adapter: it
  takes time, and may go wrong), `faults` (what goes wrong, and how often), `tables` and
  `expressions` (DynamoDB), `queues` (SQS), `sagemaker`.
- *The meter*: `stack` (one stack: use cases, adapters, invocations), `stage` (a region with one
  stack that is watched, and maybe a second one), `versions` (functions that run the code of
  before).
- *Who acts*: `people` (users, and a team that deploys), `takers` (who wants endpoints of others),
  `outsiders` (who has a console).
- *What must hold*: `watch` (the invariants), `ledger` and `oracle` (leases, holds and windows,
  computed a second time), `trespass` (what may be touched), `conduct` (locks, queues, patience).
- *Lives*: `life` (one, made of one seed), `crowd` (many endpoints due at once), `__main__` (the
  command).
- *Situations*: `scene` (a small world without faults), `preparations`, `situations` and
  `takeovers` (what is led up to), `situation` (going through one with a fault or a rival),
  `trials` (all of them).
- *Mutants*: `mutants`, `mutants_of_takeovers`: deliberate bugs, and where each must be found.

Three things stand in for SageMaker, each for its own purpose. Contract tests hold them together.

- `tests.fakes.FakeEndpoints`: a dictionary behind the core's port, for the stories of
  `tests/unit`.
- `local.simulator`: SageMaker's HTTP API with its lifecycles, its wording and IAM, for `make up`,
  the contract tests and the end-to-end tests. `local.simulator.world` is its pure part, without a
  server.
- `tests.simulation.sagemaker`: that same pure part, on the simulation's clock and with its
  faults.
"""
