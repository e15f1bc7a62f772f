"""Frozen values, errors, configuration and the clock: what every room speaks in, with no I/O and nothing third-party."""
