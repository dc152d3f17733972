"""YAML → validated settings. The only importer of yaml, and of pydantic beside recorded readings.

Seen by the service and the commands alone: layers take plain values, never the settings themselves.
"""

from evenwatt.config.assumptions import assumptions
from evenwatt.config.credentials import Secret
from evenwatt.config.load import load, parse_proxy, parse_settings
from evenwatt.config.places import find_config
from evenwatt.config.proxy import Proxy, ProxyClient, default_proxy_state
from evenwatt.config.schema import CatalogueReference, PricedReference, Settings
from evenwatt.config.values import Address, Window

__all__ = [
    "Address",
    "CatalogueReference",
    "PricedReference",
    "Proxy",
    "ProxyClient",
    "Secret",
    "Settings",
    "Window",
    "assumptions",
    "default_proxy_state",
    "find_config",
    "load",
    "parse_proxy",
    "parse_settings",
]
