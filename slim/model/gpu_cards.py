"""Names of NVIDIA's cards, with their compute capabilities.

Source: https://developer.nvidia.com/cuda-gpus and https://developer.nvidia.com/cuda-legacy-gpus
(from capability 5.0 on).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_NAMES: Final[Mapping[tuple[int, int], str]] = {
    (12, 1): "GB10, DGX Spark",
    (12, 0): "RTX PRO 6000 Blackwell, RTX PRO 6000 Blackwell Server Edition, RTX PRO 6000 Blackwell"
    " Workstation Edition, RTX PRO 6000 Blackwell Max-Q Workstation Edition, RTX PRO 5000"
    " Blackwell, RTX PRO 4500 Blackwell, RTX PRO 4000 Blackwell, RTX 5090, RTX 5080, RTX 5070 Ti,"
    " RTX 5070, RTX 5060 Ti, RTX 5060, RTX 5050",
    (11, 0): "Jetson T5000, Jetson T4000",
    (10, 3): "GB300, B300",
    (10, 0): "GB200, B200",
    (9, 0): "GH200, H200, H100",
    (8, 9): "L4, L40, L40S, RTX 6000 Ada, RTX 5000 Ada, RTX 4500 Ada, RTX 4000 Ada, RTX 4000 SFF"
    " Ada, RTX 2000 Ada, RTX 4090, RTX 4080, RTX 4070 Ti, RTX 4070, RTX 4060 Ti, RTX 4060, RTX"
    " 4050",
    (8, 7): "Jetson AGX Orin, Jetson Orin NX, Jetson Orin Nano",
    (8, 6): "A40, A10, A16, A2, RTX A6000, RTX A5000, RTX A4000, RTX A3000, RTX A2000, RTX 3090 Ti,"
    " RTX 3090, RTX 3080 Ti, RTX 3080, RTX 3070 Ti, RTX 3070, RTX 3060 Ti, RTX 3060, RTX 3050 Ti,"
    " RTX 3050",
    (8, 0): "A100, A30",
    (7, 5): "T4, Quadro RTX 8000, Quadro RTX 6000, Quadro RTX 5000, Quadro RTX 4000, Quadro RTX"
    " 3000, Quadro T2000, T1200, T1000, T600, T500, T400, GTX 1650 Ti, TITAN RTX, RTX 2080 Ti, RTX"
    " 2080, RTX 2070, RTX 2060",
    (7, 2): "Jetson AGX Xavier, Jetson Xavier NX",
    (7, 0): "V100, Quadro GV100, TITAN V",
    (6, 2): "Jetson TX2",
    (6, 1): "P40, P4, Quadro P6000, Quadro P5200, Quadro P5000, Quadro P4200, Quadro P4000, Quadro"
    " P3200, Quadro P3000, Quadro P2200, Quadro P2000, Quadro P1000, Quadro P620, Quadro P600,"
    " Quadro P500, Quadro P400, P620, P520, TITAN Xp, TITAN X, GTX 1080 Ti, GTX 1080, GTX 1070 Ti,"
    " GTX 1070, GTX 1060, GTX 1050",
    (6, 0): "P100, Quadro GP100",
    (5, 3): "Jetson Nano",
    (5, 2): "M60, M40, Quadro M6000, Quadro M5000, Quadro M4000, Quadro M2000, GTX TITAN X,"
    " GTX 980 Ti, GTX 980, GTX 970, GTX 960, GTX 950",
    (5, 0): "Quadro K2200, Quadro K1200, Quadro K620, GTX 750 Ti, GTX 750",
}

_MAKERS: Final = re.compile(r"\b(?:nvidia|geforce|tesla|generation|gpu)\b")
_ASIDE: Final = re.compile(r"[^a-z0-9]+")


def card_key(name: str) -> str:
    """Return a card's name as the table is searched: ``NVIDIA GeForce RTX 4090`` is ``rtx4090``."""
    return _ASIDE.sub("", _MAKERS.sub("", name.lower()))


CARDS: Final[Mapping[str, tuple[int, int]]] = {
    card_key(name): capability for capability, names in _NAMES.items() for name in names.split(", ")
}
"""Compute capability (major, minor) by the key of a card's name."""


def card_names() -> tuple[str, ...]:
    """Return the names of the cards as NVIDIA writes them, the latest first."""
    return tuple(name for names in _NAMES.values() for name in names.split(", "))
