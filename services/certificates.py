"""A certificate for servers on the loopback, signed by itself."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a certificate and its key."""

    certificate: Path
    key: Path


def client_certificate(authority: Certificate, folder: Path) -> Certificate:
    """A new certificate of a client's, which the authority has signed."""
    made = Certificate(folder / "client.crt", folder / "client.key")
    request = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=client", "-keyout", str(made.key)]
    asked = subprocess.run(request, capture_output=True, check=True).stdout
    signing = ["openssl", "x509", "-req", "-days", "2", "-CA", str(authority.certificate), "-CAkey", str(authority.key)]
    signed = [*signing, "-set_serial", "2", "-out", str(made.certificate)]
    subprocess.run(signed, input=asked, capture_output=True, check=True)
    return made


def made_certificate(folder: Path, name: str = "127.0.0.1") -> Certificate:
    """A new certificate of that address."""
    made = Certificate(folder / "server.crt", folder / "server.key")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    places = ["-addext", f"subjectAltName=IP:{name}", "-out", str(made.certificate), "-keyout", str(made.key)]
    subprocess.run([*command, *places], capture_output=True, check=True)
    return made
