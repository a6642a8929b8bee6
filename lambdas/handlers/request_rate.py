"""Counts the requests of a token. Does not import Powertools: any function may use it."""

from __future__ import annotations

import logging
from datetime import datetime

from lambdas.aws.rates import DynamoRates
from lambdas.core.errors import AwsRefused
from lambdas.handlers.refusals import TooManyRequests

_log = logging.getLogger(__name__)


def within_rate(rates: DynamoRates, counter: str, now: datetime) -> None:
    """Count a request. Raises TooManyRequests if there were too many in this minute."""
    try:
        seconds = rates.wait_seconds(counter, now)
    except AwsRefused as error:  # one request too many is better than an API that is down
        _log.warning("request not counted: %s", error)
        return
    if seconds is not None:
        raise TooManyRequests(seconds)
