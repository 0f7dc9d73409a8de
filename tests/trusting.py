"""What the processes of tests trust."""

import os
import ssl
import tempfile
from pathlib import Path

_BEFORE = {}


def trusting_all():
    """The environment as it was, for what asks others of the machine than its own."""
    environ = {name: value for name, value in os.environ.items() if name not in _BEFORE}
    return environ | {name: value for name, value in _BEFORE.items() if value is not None}


def trust_one_authority():
    """Let this process, and all that it starts, trust one authority of the machine; gives what ends that."""
    authorities = ssl.create_default_context().get_ca_certs(binary_form=True)
    if not authorities:
        return lambda: None
    number, name = tempfile.mkstemp(suffix=".pem")
    with os.fdopen(number, "w") as file:
        file.write(ssl.DER_cert_to_PEM_cert(authorities[0]))
    paths = ssl.get_default_verify_paths()
    _BEFORE.update({name: os.environ.get(name) for name in (paths.openssl_cafile_env, paths.openssl_capath_env)})
    os.environ |= {paths.openssl_cafile_env: name, paths.openssl_capath_env: os.devnull}
    return lambda: Path(name).unlink()
