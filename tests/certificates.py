"""Certificates for tests, made by openssl."""

import subprocess
from pathlib import Path

__all__ = ["Authority"]


class Authority:
    """Signs certificates in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "authority.pem"
        self._key = folder / "authority.key"
        _openssl(
            "req",
            "-x509",
            *_NEW_KEY,
            "-keyout",
            self._key,
            "-out",
            self.certificate,
            "-days",
            "2",
            *_of("CA"),
        )

    def signed(self, name: str, *, san: str = "IP:127.0.0.1") -> tuple[Path, Path]:
        """Return a certificate and its key; of the same name, they are written anew."""
        certificate, key, request = (self.folder / f"{name}.{ending}" for ending in ("pem", "key", "csr"))
        _openssl("req", *_NEW_KEY, "-keyout", key, "-out", request, *_of(name))
        extensions = self.folder / "extensions"
        extensions.write_text(f"subjectAltName={san}\n")
        by = (
            "-CA",
            self.certificate,
            "-CAkey",
            self._key,
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            extensions,
        )
        _openssl("x509", "-req", "-in", request, "-out", certificate, *by)
        return certificate, key


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _of(name: str) -> tuple[str, str]:
    return "-subj", f"/CN={name}"


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
