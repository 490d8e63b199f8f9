"""Where the numbers of a watched training come from."""

from __future__ import annotations

import pytest

from gradtui.torch.watching.late import Late


@pytest.fixture
def promised(monkeypatch):
    """The CPU stands for a device: no number is asked for in a step, all are promised."""
    monkeypatch.setattr(Late, "is_remote", staticmethod(lambda _: True))


@pytest.fixture(params=["cpu", "promised"])
def where(request):
    """Both ways, which must give the same numbers."""
    if request.param == "promised":
        request.getfixturevalue("promised")
