"""``qtm rivals``."""

from __future__ import annotations

from ..reproduce.systems import SYSTEMS
from .screen import listing


def rivals() -> None:
    """Print the commands that make the rivals' virtual environments for 'qtm reproduce'."""
    for name, system in {system.environment: system for system in SYSTEMS if system.environment}.items():
        packages = " ".join(f"'{requirement}'" for requirement in system.requirements.split())
        made = f"{system.interpreter} -m venv .rivals/{name}"
        listing.out(f"{made} && .rivals/{name}/bin/pip install {packages}", highlight=False)
