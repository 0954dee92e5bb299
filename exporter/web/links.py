"""From the templates of the settings to the links of one instance."""

from __future__ import annotations

from urllib.parse import quote

from exporter.collector.snapshot import HubIdentity


def links_to(identity: HubIdentity, instance_id: str, orchestrator: str) -> dict[str, str]:
    """Return the links that lead to an instance, by what they are called; values are encoded."""
    values = {
        "instance_id": instance_id,
        "task_hub": identity.name,
        "hub_name": identity.hub_name or identity.name,
        "orchestrator": orchestrator,
    }
    # With no character left as it is that ends a part of a URL, none can lead elsewhere.
    encoded = {name: quote(value, safe="") for name, value in values.items()}
    return {name: template.format_map(encoded) for name, template in identity.links.items()}
