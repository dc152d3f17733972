"""YAML → settings that hold together, or all that is wrong with it at once.

Seen by the service and the commands alone: layers take plain values, never the settings themselves.
"""

from evenwatt.config.assumptions import assumptions
from evenwatt.config.costs import HardwarePart
from evenwatt.config.credentials import Secret
from evenwatt.config.electricity import ElectricityFeed, ElectricityPrice, core_band
from evenwatt.config.load import load, parse_proxy, parse_settings
from evenwatt.config.options import Override, override_of
from evenwatt.config.places import find_config
from evenwatt.config.proxy import Proxy, ProxyClient, default_proxy_state
from evenwatt.config.references import CatalogueReference, DatedPrices, PricedReference
from evenwatt.config.schema import Settings
from evenwatt.config.values import Address, Window

__all__ = [
    "Address",
    "CatalogueReference",
    "DatedPrices",
    "ElectricityFeed",
    "ElectricityPrice",
    "HardwarePart",
    "Override",
    "PricedReference",
    "Proxy",
    "ProxyClient",
    "Secret",
    "Settings",
    "Window",
    "assumptions",
    "core_band",
    "default_proxy_state",
    "find_config",
    "load",
    "override_of",
    "parse_proxy",
    "parse_settings",
]
