"""Groups of settings: intervals, timeouts, retries, TLS, buckets, limits, metrics, status page."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from exporter.settings.durations import (
    DAY,
    HOUR,
    MINUTE,
    Bounds,
    Interval,
    IntervalOrOff,
    Limit,
    PositiveDuration,
)
from exporter.settings.values import (
    FROZEN,
    AnyCase,
    Count,
    CountLimit,
    Names,
    ReadableFile,
    ShareLimit,
    Shown,
)


class Intervals(BaseModel):
    """How often each sweep runs; extended for sweeps that take over half their interval."""

    model_config = FROZEN

    active: Interval = Field(default=30.0, description="Time between listings of active instances.")
    failed: IntervalOrOff = Field(
        default=5 * MINUTE, description="Time between listings of unresolved failures."
    )
    census: IntervalOrOff = Field(
        default=HOUR, description="Time between full listings (census) of all retained instances."
    )
    entities: IntervalOrOff = Field(
        default=5 * MINUTE, description="Time between listings of entities."
    )


class Timeouts(BaseModel):
    """How long to wait; an app that is starting holds requests for 30 seconds."""

    model_config = FROZEN

    request: PositiveDuration = Field(
        default=MINUTE, description="For one request, including reading the response."
    )
    connect: PositiveDuration = Field(default=10.0, description="For connecting.")
    sweep: PositiveDuration = Field(default=15 * MINUTE, description="For one sweep.")


class Retries(BaseModel):
    """Retries of requests after transient failures."""

    model_config = FROZEN

    max_retries: Annotated[Count, Field(ge=0, le=10)] = Field(
        default=3, description="Maximum retries of one request."
    )
    backoff: PositiveDuration = Field(
        default=0.5,
        description="Wait before the first retry, doubled before each further one.",
    )
    max_backoff: PositiveDuration = Field(
        default=30.0,
        description="Maximum wait between attempts; a `Retry-After` of up to one minute is "
        "honored, too; a longer one ends the sweep, delaying the next by up to an hour.",
    )

    @field_validator("max_backoff")
    @classmethod
    def _not_below_backoff(cls, longest: float, others: ValidationInfo) -> float:
        if longest < others.data.get("backoff", 0.0):
            raise ValueError("is shorter than retries.backoff: raise it, or lower retries.backoff")
        return longest


class Tls(BaseModel):
    """Trusted certificates, and the client certificate to present, in PEM files."""

    model_config = FROZEN

    ca_file: ReadableFile | None = Field(
        default=None, description="Certificate authorities to trust instead of the defaults."
    )
    client_cert_file: ReadableFile | None = Field(
        default=None, description="Client certificate to present to the app."
    )
    client_key_file: ReadableFile | None = Field(
        default=None,
        description="Private key of that certificate, unless it is in the same file.",
    )

    @field_validator("ca_file")
    @classmethod
    def _holds_certificates(cls, path: ReadableFile | None) -> ReadableFile | None:
        if path is not None:
            try:
                ssl.create_default_context(cafile=path)
            except ssl.SSLError:
                raise ValueError("has no certificate in PEM form: convert it to PEM") from None
        return path

    @field_validator("client_key_file")
    @classmethod
    def _has_certificate(
        cls, path: ReadableFile | None, others: ValidationInfo
    ) -> ReadableFile | None:
        if path is not None and others.data.get("client_cert_file", path) is None:
            raise ValueError("has no certificate: set tls.client_cert_file, too")
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
                "client_cert_file and client_key_file do not match: "
                "give the certificate and its unencrypted key in PEM form"
            ) from None
        return self


class Buckets(BaseModel):
    """Upper bounds of histogram buckets, for all hubs."""

    model_config = FROZEN

    age: Bounds = Field(
        default=(5 * MINUTE, HOUR, 4 * HOUR, DAY, 7 * DAY),
        description="Bounds for the ages of active instances and the idle times of entities.",
    )
    duration: Bounds = Field(
        default=(1.0, 10.0, MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, DAY, 7 * DAY),
        description="Bounds for the durations of completed instances.",
    )


def _check_pattern(pattern: str) -> str:
    if not pattern.strip():
        raise ValueError("has an empty name: give an orchestrator or a pattern")
    return pattern


Pattern = Annotated[str, AfterValidator(_check_pattern)]


class OrchestratorLimits(BaseModel):
    """Limits of orchestrators by name or pattern; unset ones are inherited."""

    model_config = FROZEN

    pending: Limit = Field(default=10 * MINUTE, description="How long an instance may be Pending.")
    idle: Limit = Field(
        default=HOUR, description="How long a running instance may go without progress."
    )
    age: Limit = Field(default=None, description="How long an instance may be active in total.")
    suspended: Limit = Field(default=None, description="How long an instance may be Suspended.")
    success: Limit = Field(
        default=None, description="How long an orchestrator may go without a success."
    )
    retention: Limit = Field(
        default=None, description="How long finished instances may stay in storage."
    )
    failure_ratio: ShareLimit = Field(
        default=0.05, description="Share of finished instances that may fail."
    )
    unresolved_failures: CountLimit = Field(
        default=10, description="How many failed instances may be unresolved."
    )


class Limits(OrchestratorLimits):
    """How long instances may take before they are over a limit, and how many may fail."""

    stopped: Limit = Field(
        default=4 * HOUR, description="How long the app may be stopped; see `may_stop`."
    )
    orchestrators: Annotated[
        dict[Pattern, OrchestratorLimits], Shown("groups by name or pattern")
    ] = Field(
        default={},
        description="Limits by orchestrator: its name in any case, or a pattern such as `Order*`.",
    )

    def for_orchestrator(self, name: str) -> Mapping[str, float | None]:
        """Return the limits in force for the orchestrator *name*, by their names."""
        return {**_values_of(self), **self.own(name)}

    def of_hub(self) -> dict[str, float | None]:
        """Return the limits of orchestrators without their own, and `stopped`."""
        return {**_values_of(self), "stopped": self.stopped}

    def own(self, name: str) -> Mapping[str, float | None]:
        """
        Return the limits that are set for the orchestrator *name*, by their names.

        The first that sets one wins: the exact name, the name in another case, the patterns (`*`,
        `?`, `[...]`, case-sensitive) in the order written.
        """
        own: dict[str, float | None] = {}
        for limits in self._matching(name):
            for limit, value in _values_of(limits).items():
                if limit in limits.model_fields_set:
                    own.setdefault(limit, value)
        return own

    def _matching(self, name: str) -> Iterator[OrchestratorLimits]:
        own = self.orchestrators
        yield from (own[other] for other in own if other == name)
        yield from (own[other] for other in own if other.casefold() == name.casefold())
        yield from (own[pattern] for pattern in own if fnmatchcase(name, pattern))


def _values_of(limits: OrchestratorLimits) -> dict[str, float | None]:
    return {limit: getattr(limits, limit) for limit in OrchestratorLimits.model_fields}


class MetricsSettings(BaseModel):
    """Exposed metric families, and limits for scrapes."""

    model_config = FROZEN

    exclude: Names = Field(
        default=(), description="Families to leave out, by name or pattern (`*`, `?`, `[abc]`)."
    )
    exemplars: bool = Field(
        default=False,
        description="Add the id of the last finished instance to OpenMetrics as an exemplar.",
    )
    max_concurrent_scrapes: Annotated[Count, Field(ge=1, le=10_000)] = Field(
        default=100, description="Maximum concurrent scrapes; further ones get 503."
    )
    scrape_timeout: PositiveDuration = Field(
        default=MINUTE, description="How long one scrape may take, including sending the response."
    )


class WebSettings(BaseModel):
    """The status page."""

    model_config = FROZEN

    instance_pages: bool = Field(
        default=False,
        description="Serve a page per instance, read from its hub on request, with failure "
        "messages.",
    )


Profile = Annotated[Literal["steady", "scale-to-zero"], AnyCase]

# Any configured value wins over those of a profile.
PROFILES: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "steady": {},
        # Each request wakes the app: few sweeps, all at once, without entities and census.
        "scale-to-zero": {
            "intervals": {"active": "15m", "failed": "1h", "entities": "0", "census": "0"}
        },
    }
)
