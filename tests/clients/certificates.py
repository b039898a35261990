# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made by the openssl program."""
import pathlib
import shutil
import subprocess

OPENSSL = shutil.which("openssl")


def make(folder: pathlib.Path, name: str = "localhost") -> tuple[pathlib.Path, pathlib.Path]:
    """A certificate that vouches for itself, for `name` and 127.0.0.1, and its key: two files in `folder`."""
    folder = pathlib.Path(folder)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run([OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", "-keyout", key,
                    "-out", certificate], check=True, capture_output=True)
    return certificate, key
