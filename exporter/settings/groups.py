"""Groups of settings: intervals, timeouts, retries, TLS, buckets."""

from __future__ import annotations

import ssl
from typing import Annotated, Self

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from exporter.settings.durations import DAY, HOUR, MINUTE, Interval, IntervalOrOff, PositiveDuration
from exporter.settings.values import FROZEN, Bounds, Count, ReadableFile


class Intervals(BaseModel):
    """How often each sweep is made; intervals stretch when a sweep takes more than half of them."""

    model_config = FROZEN

    active: Interval = Field(
        default=30.0, description="From one listing of the active instances to the next."
    )
    failed: IntervalOrOff = Field(
        default=5 * MINUTE, description="From one listing of the unresolved failures to the next."
    )
    census: IntervalOrOff = Field(
        default=HOUR, description="From one count of all retained instances to the next."
    )
    entities: IntervalOrOff = Field(
        default=5 * MINUTE, description="From one listing of the entities to the next."
    )


class Timeouts(BaseModel):
    """How long to wait; an app that starts holds requests for 30 seconds."""

    model_config = FROZEN

    request: PositiveDuration = Field(
        default=MINUTE, description="For one request, from sending it to the end of the answer."
    )
    connect: PositiveDuration = Field(default=10.0, description="For a connection to be made.")
    sweep: PositiveDuration = Field(default=15 * MINUTE, description="For one sweep.")


class Retries(BaseModel):
    """What happens after a request failed in a way that may pass."""

    model_config = FROZEN

    attempts: Annotated[Count, Field(ge=0, le=10)] = Field(
        default=3, description="How often one request is repeated at most."
    )
    backoff: PositiveDuration = Field(
        default=0.5,
        description="Wait before the first repetition, doubled before each further one.",
    )
    backoff_max: PositiveDuration = Field(
        default=30.0,
        description="Longest wait between two attempts, or a minute where `Retry-After` asks for "
        "it; where it asks for more, the sweep ends, and comes again after that, an hour at most.",
    )

    @field_validator("backoff_max")
    @classmethod
    def _not_below_backoff(cls, longest: float, others: ValidationInfo) -> float:
        if longest < others.data.get("backoff", 0.0):
            raise ValueError("is shorter than retries.backoff: raise it, or lower retries.backoff")
        return longest


class Tls(BaseModel):
    """Trusted certificates, and the client certificate to present; all files are in PEM form."""

    model_config = FROZEN

    ca_file: ReadableFile | None = Field(
        default=None, description="Authorities to trust instead of the usual ones."
    )
    client_cert_file: ReadableFile | None = Field(
        default=None, description="Certificate to show to the app."
    )
    client_key_file: ReadableFile | None = Field(
        default=None,
        description="Private key of the certificate, where it is not in the same file.",
    )

    @field_validator("ca_file")
    @classmethod
    def _holds_certificates(cls, path: ReadableFile | None) -> ReadableFile | None:
        if path is not None:
            try:
                ssl.create_default_context(cafile=path)
            except ssl.SSLError:
                raise ValueError("holds no certificate in PEM form: convert it to PEM") from None
        return path

    @field_validator("client_key_file")
    @classmethod
    def _has_certificate(
        cls, path: ReadableFile | None, others: ValidationInfo
    ) -> ReadableFile | None:
        if path is not None and others.data.get("client_cert_file", path) is None:
            raise ValueError("stands without its certificate: set tls.client_cert_file too")
        return path

    @model_validator(mode="after")
    def _certificate_and_key_match(self) -> Self:
        if self.client_cert_file is None:
            return self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            # The empty password keeps OpenSSL from asking for one at the terminal.
            context.load_cert_chain(self.client_cert_file, self.client_key_file, password="")
        except (OSError, ValueError):
            raise ValueError(
                "client_cert_file and client_key_file are no usable pair: "
                "give the certificate and its unencrypted key in PEM form"
            ) from None
        return self


class Buckets(BaseModel):
    """Upper bounds of the buckets, of all hubs."""

    model_config = FROZEN

    age: Bounds = Field(
        default=(
            MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR,
            DAY, 3 * DAY, 7 * DAY, 30 * DAY,
        ),
        description="Bounds for the ages and idle times of active instances and entities.",
    )  # fmt: skip
    duration: Bounds = Field(
        default=(
            1.0, 2.0, 5.0, 10.0, 30.0, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR,
            DAY, 7 * DAY,
        ),
        description="Bounds for how long finished instances took.",
    )  # fmt: skip
