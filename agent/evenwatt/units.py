"""Conversion constants: the one place where a number of another unit's unit is written down."""

__all__ = [
    "HOURS_PER_YEAR",
    "JOULES_PER_KWH",
    "JOULES_PER_MILLIJOULE",
    "SECONDS_PER_DAY",
    "SECONDS_PER_HOUR",
    "SECONDS_PER_MINUTE",
    "SECONDS_PER_QUARTER_HOUR",
    "TOKENS_PER_MTOK",
    "WATTS_PER_MILLIWATT",
]

SECONDS_PER_MINUTE = 60
SECONDS_PER_QUARTER_HOUR = 900
SECONDS_PER_HOUR = 3_600
SECONDS_PER_DAY = 86_400
HOURS_PER_YEAR = 8_760
"""A year of 365 days: what price lists and calculators of the field divide by."""

JOULES_PER_KWH = 3_600_000
JOULES_PER_MILLIJOULE = 1e-3
WATTS_PER_MILLIWATT = 1e-3
TOKENS_PER_MTOK = 1_000_000
