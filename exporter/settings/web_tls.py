"""TLS of the exporter's own server: the section `tls_server_config`, and its context."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from exporter.settings.error_messages import shown_name
from exporter.settings.values import FROZEN

VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
# OpenSSL allows these only below the security level of every distribution.
UNSAFE_VERSIONS = ("TLS10", "TLS11")
CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# Python accepts no unverified certificates.
UNVERIFIED_CLIENT_AUTH = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
# Go's names, used in the file, and OpenSSL's.
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
    Certificate, key, client authentication and encryption, in OpenSSL's terms.

    *client_names* are the subject alternative names of which a client's certificate must have one,
    empty for any. *ciphers* apply below TLS 1.3; without them, or *curve*, OpenSSL chooses.
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
    Return the server context for *policy*.

    Raises:
        ValueError: OpenSSL refuses it; the message shows no content of files.
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
                "has a certificate and a key that do not match: "
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
    """Yield a path with *content*, as OpenSSL reads certificates and keys from files only."""
    with os.fdopen(os.memfd_create("pem"), "w+b") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


Choice = TypeVar("Choice")


def _read_beside(value: object, info: ValidationInfo) -> object:
    """Return the content of a file; relative paths start at the web configuration file."""
    if not isinstance(value, str):
        return value
    if not value:
        return None
    context = info.context or {"folder": Path(), "files": []}
    path = context["folder"] / value
    context["files"].append(path)
    try:
        content: bytes = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"cannot be read ({error.strerror}): check the path, mount and permissions"
        ) from None
    return content


def _not_blank(value: object) -> object:
    return None if value == "" else value


def _choice(value: str, choices: Mapping[str, Choice]) -> Choice:
    if value not in choices:
        raise ValueError(f"is not known: give one of {', '.join(choices)}")
    return choices[value]


def _check_version(name: str) -> str:
    if name in UNSAFE_VERSIONS:
        raise ValueError("is no longer safe, and not offered: give TLS12 or TLS13")
    _choice(name, VERSIONS)
    return name


def _check_client_auth(name: str) -> str:
    if name in UNVERIFIED_CLIENT_AUTH:
        raise ValueError(
            "asks for certificates that nobody verifies, which is not offered: "
            "give RequireAndVerifyClientCert or VerifyClientCertIfGiven"
        )
    _choice(name, CLIENT_AUTH)
    return name


def _spell_name(name: str) -> str:
    """Normalize an IP address as in certificates; return other names unchanged."""
    try:
        return str(ip_address(name))
    except ValueError:
        return name


def _or_none_asked(name: object) -> object:
    return name or "NoClientCert"


Content = Annotated[bytes | None, BeforeValidator(_read_beside)]
Inline = Annotated[str | None, BeforeValidator(_not_blank)]
ClientAuth = Annotated[str, BeforeValidator(_or_none_asked), AfterValidator(_check_client_auth)]
Version = Annotated[str, AfterValidator(_check_version)]
ClientName = Annotated[str, AfterValidator(_spell_name)]


class TlsServer(BaseModel):
    """TLS as in the file; `policy` is None without it."""

    model_config = FROZEN

    cert: Inline = None
    key: Annotated[SecretStr | None, BeforeValidator(_not_blank)] = None
    client_ca: Inline = None
    cert_file: Content = None
    key_file: Content = Field(default=None, repr=False)
    client_ca_file: Content = None
    client_auth_type: ClientAuth = "NoClientCert"
    client_allowed_sans: tuple[ClientName, ...] | None = None
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[str, ...] = ()

    @field_validator("cipher_suites")
    @classmethod
    def _are_offered(cls, names: tuple[str, ...], others: ValidationInfo) -> tuple[str, ...]:
        for name in names:
            if name not in CIPHERS and name not in CIPHERS_OF_TLS13:
                raise ValueError(f"names {shown_name(name)!r}, which is not offered: remove it")
        chosen = CIPHERS_OF_TLS13 & set(names)
        if chosen and chosen != CIPHERS_OF_TLS13:
            raise ValueError("names some suites of TLS 1.3, which has all or none: list all three")
        below = [name for name in names if name in CIPHERS]
        if names and not below and others.data.get("min_version") == "TLS12":
            raise ValueError("has no suite for TLS 1.2: list one, or set min_version to TLS13")
        return names

    @field_validator("curve_preferences")
    @classmethod
    def _is_one_curve(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            _choice(name, CURVES)
        if len(names) > 1:
            raise ValueError("has several curves, of which one can be had: give one, or none")
        return names

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for inline in ("cert", "key", "client_ca"):
            if getattr(self, inline) is not None and getattr(self, f"{inline}_file") is not None:
                raise ValueError(f"has both {inline} and {inline}_file: remove one of the two")
        if not self.model_fields_set:
            return self
        if self._certificate is None or self._key is None:
            raise ValueError("lacks a certificate or its key: set cert_file and key_file")
        self._check_client()
        if VERSIONS[self.max_version] < VERSIONS[self.min_version]:
            raise ValueError("has a max_version below min_version: raise it")
        if self.policy is not None:
            server_context(self.policy)
        return self

    def _check_client(self) -> None:
        asks = self.client_auth_type != "NoClientCert"
        if asks and self._authority is None:
            raise ValueError("has no client_ca_file: set it to who signs the clients' certificates")
        if self._authority is not None and not asks:
            raise ValueError(
                "has a client CA but asks for no certificate: "
                "set client_auth_type to RequireAndVerifyClientCert"
            )
        required = self.client_auth_type == "RequireAndVerifyClientCert"
        if self.client_allowed_sans is not None and not required:
            raise ValueError(
                "has client_allowed_sans, but accepts clients without a certificate: "
                "set client_auth_type to RequireAndVerifyClientCert"
            )
        if self.client_allowed_sans == ():
            raise ValueError("has an empty client_allowed_sans: list who may come in, or remove it")

    @property
    def _certificate(self) -> bytes | None:
        return self.cert_file if self.cert is None else self.cert.encode()

    @property
    def _key(self) -> bytes | None:
        return self.key_file if self.key is None else self.key.get_secret_value().encode()

    @property
    def _authority(self) -> bytes | None:
        return self.client_ca_file if self.client_ca is None else self.client_ca.encode()

    @property
    def policy(self) -> TlsPolicy | None:
        """The policy in OpenSSL's terms."""
        if self._certificate is None or self._key is None:
            return None
        return TlsPolicy(
            certificate=self._certificate,
            key=self._key,
            client_authority=self._authority,
            client_auth=CLIENT_AUTH[self.client_auth_type],
            client_names=frozenset(self.client_allowed_sans or ()),
            minimum=VERSIONS[self.min_version],
            maximum=VERSIONS[self.max_version],
            ciphers=tuple(CIPHERS[name] for name in self.cipher_suites if name in CIPHERS),
            server_order=self.prefer_server_cipher_suites,
            curve=CURVES[self.curve_preferences[0]] if self.curve_preferences else None,
        )
