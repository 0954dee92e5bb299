"""The TLS of the exporter's own server: what is asked for, and the context that does it."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
# OpenSSL offers these only below the security level of every distribution, if at all.
UNSAFE_VERSIONS = ("TLS10", "TLS11")
CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# Python takes no certificate that it has not verified.
UNVERIFIED_CLIENT_AUTH = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
# The names of Go, which the file is written for, with those of OpenSSL.
CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
}
CIPHERS_OF_TLS13 = frozenset({
    "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """
    Certificate and key, whom to let in, and how to encrypt; all in the terms of OpenSSL.

    *client_names* are the alternative names of which a client's certificate must have one, empty
    for any. *ciphers* are those below TLS 1.3, empty for OpenSSL's own choice, as is no *curve*.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    client_authority: bytes | None = None
    client_auth: ssl.VerifyMode = ssl.CERT_NONE
    client_names: frozenset[str] = frozenset()
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: Sequence[str] = ()
    server_order: bool = True
    curve: str | None = None


def server_context(policy: TlsPolicy) -> ssl.SSLContext:
    """
    Return the context of a server that does what *policy* says.

    Raises:
        ValueError: it cannot be done; the message says what is wrong, and shows no content.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = policy.minimum, policy.maximum
    context.set_alpn_protocols(["http/1.1"])
    _load_certificate(context, policy)
    _load_authority(context, policy)
    context.verify_mode = policy.client_auth
    _choose_ciphers(context, policy)
    if policy.curve is not None:
        context.set_ecdh_curve(policy.curve)
    return context


def _load_certificate(context: ssl.SSLContext, policy: TlsPolicy) -> None:
    with _as_file(policy.certificate) as certificate, _as_file(policy.key) as key:
        try:
            # The empty password keeps OpenSSL from asking for one at the terminal.
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ValueError):
            raise ValueError(
                "has a certificate and a key that are no usable pair: "
                "give the certificate and its unencrypted key in PEM form"
            ) from None


def _load_authority(context: ssl.SSLContext, policy: TlsPolicy) -> None:
    if policy.client_authority is None:
        return
    try:
        # Comments around the certificates may be in any script.
        text = policy.client_authority.decode("ascii", errors="replace")
        context.load_verify_locations(cadata=text)
    except ssl.SSLError:
        raise ValueError("has a client CA without a certificate in PEM form: convert it") from None


def _choose_ciphers(context: ssl.SSLContext, policy: TlsPolicy) -> None:
    if not policy.server_order:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if not policy.ciphers:
        return
    try:
        context.set_ciphers(":".join(policy.ciphers))
    except ssl.SSLError:
        raise ValueError("has cipher_suites of which this OpenSSL has none: list others") from None
    missing = set(policy.ciphers) - {cipher["name"] for cipher in context.get_ciphers()}
    if missing:
        raise ValueError(
            f"has cipher_suites that this OpenSSL lacks ({', '.join(sorted(missing))}): remove them"
        )


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Give *content* a name for OpenSSL, which reads certificates and keys from files alone."""
    with os.fdopen(os.memfd_create("pem"), "w+b") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
