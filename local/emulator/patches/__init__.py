"""Small changes to MiniStack: one module and one reason each.

They use private names, so they only fit the pinned version (`local/emulator/pinned.py`). Set the
environment before importing this package: MiniStack reads it on import.
"""

from local.emulator.patches import (
    access_logs,
    alarm_listing,
    api_tags,
    asked_rights,
    batch_actions,
    callers_rights,
    cold_starts,
    function_errors,
    function_logs,
    integration_timeouts,
    lambda_actions,
    large_events,
    leading_keys,
    mock_integrations,
    model_calls,
    multipart_tags,
    named_actions,
    named_resources,
    patched_types,
    policy_simulation,
    role_sessions,
    root_key,
    runtime_integrations,
    sagemaker_events,
    service_roles,
    silent_functions,
    transport,
    unproxied_functions,
    untyped_bodies,
)

__all__ = ["apply"]


def apply() -> None:
    """Patch MiniStack in this process. Call it before MiniStack serves."""
    access_logs.apply()
    alarm_listing.apply()
    api_tags.apply()
    asked_rights.apply()
    batch_actions.apply()
    cold_starts.apply()
    function_errors.apply()
    function_logs.apply()
    integration_timeouts.apply()  # after function_errors
    lambda_actions.apply()
    large_events.apply()
    leading_keys.apply()
    mock_integrations.apply()
    model_calls.apply()
    multipart_tags.apply()
    named_actions.apply()
    named_resources.apply()
    callers_rights.apply()  # after those that find actions and resources
    patched_types.apply()
    policy_simulation.apply()
    role_sessions.apply()
    root_key.apply()
    runtime_integrations.apply()
    sagemaker_events.apply()
    service_roles.apply()
    silent_functions.apply()
    transport.apply()
    unproxied_functions.apply()
    untyped_bodies.apply()
