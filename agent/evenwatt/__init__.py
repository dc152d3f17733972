"""evenwatt measures what a million tokens really costs on your own inference server."""

__version__ = "0.1.0"
