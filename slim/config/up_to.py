"""Configurations that go no further than a profile."""

from __future__ import annotations

from dataclasses import replace

from slim.config.settings import Config
from slim.model.rule import Safety


def up_to(config: Config, profile: Safety) -> Config:
    """Return a configuration without what goes beyond a profile, and never strict.

    Layers that go further go as far as it, and rules beyond it aren't there to be enabled.
    """
    packs = tuple(
        replace(pack, rules=tuple(rule for rule in pack.rules if rule.safety <= profile))
        for pack in config.packs
    )
    layers = {
        name: {**stated, "profile": min(stated["profile"], profile)}
        if "profile" in stated
        else stated
        for name, stated in config.layers.items()
    }
    own = min(config.profile, profile)
    return replace(config, profile=own, packs=packs, layers=layers, strict=False)
