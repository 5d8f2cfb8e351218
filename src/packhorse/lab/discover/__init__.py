"""Discovery: what the bytes of a bus without DBC may be, by the physics of a battery."""

from packhorse.lab.discover.describe import Described, describe, mapping_text
from packhorse.lab.discover.discover import discover
from packhorse.lab.discover.sample import Sample
from packhorse.lab.discover.words import Evidence, Field, Found, Kind, Proposal, Role, Stream

__all__ = [
    "Described",
    "Evidence",
    "Field",
    "Found",
    "Kind",
    "Proposal",
    "Role",
    "Sample",
    "Stream",
    "describe",
    "discover",
    "mapping_text",
]
