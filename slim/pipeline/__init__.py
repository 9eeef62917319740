"""``slim run`` and ``slim explain``: the order of the stages."""
