"""Make anew the keys and certificates of the lab's TLS scenarios, in k8scap/lab/certificates.

They protect nothing: the keys are published with the package, and no system may trust the authority.
Needs the package cryptography.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FOLDER = Path(__file__).parents[1] / "k8scap" / "lab" / "certificates"
NAME = "shop.lab.test"
BEGUN, ENDS = datetime(2025, 1, 1, tzinfo=UTC), datetime(2125, 1, 1, tzinfo=UTC)
LONG_AGO, EXPIRED = datetime(2015, 1, 1, tzinfo=UTC), datetime(2016, 1, 1, tzinfo=UTC)
WARNING = (
    b"Of k8scap's lab only, and published with it: it protects nothing. Made by scripts/lab_certificates.py\n"
)


def named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def certificate(
    key: ec.EllipticCurvePrivateKey,
    subject: str,
    *,
    issuer: str,
    signed_by: ec.EllipticCurvePrivateKey,
    begins: datetime = BEGUN,
    ends: datetime = ENDS,
) -> bytes:
    own = subject == issuer
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_by.public_key()), critical=False
        )
    )
    if not own:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
    return builder.sign(signed_by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def main() -> None:
    authority, stranger, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    key = server.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    ours, theirs = "k8scap lab authority", "k8scap lab stranger"
    files = {
        "authority": certificate(
            authority, ours, issuer=ours, signed_by=authority, begins=LONG_AGO, ends=ENDS
        ),
        "valid": key + certificate(server, NAME, issuer=ours, signed_by=authority),
        "expired": key
        + certificate(server, NAME, issuer=ours, signed_by=authority, begins=LONG_AGO, ends=EXPIRED),
        "stranger": key + certificate(server, NAME, issuer=theirs, signed_by=stranger),
    }
    for name, content in files.items():
        (FOLDER / f"{name}.pem").write_bytes(WARNING + content)


if __name__ == "__main__":
    main()
