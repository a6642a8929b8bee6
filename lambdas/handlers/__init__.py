"""Lambda entry points: parse the event, call one use case, render the answer."""
