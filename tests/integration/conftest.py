"""What several modules of real runs share."""

from __future__ import annotations

from pathlib import Path

import pytest

from slim.sample.build import build_sample


@pytest.fixture(scope="session")
def sample_stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample stack, published, to be read only. Modules with it say xdist_group("sample")."""
    return build_sample(tmp_path_factory.mktemp("sample-stack") / "published")
