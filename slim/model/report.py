"""Names in JSON reports that those who write them and those who read them share."""

from __future__ import annotations

RUN_REPORT = "urn:slim:report:v1"
"""Schema of the report of ``slim run`` and ``slim verify``."""

AUDIT_REPORT = "urn:slim:audit:v1"
"""Schema of the report of ``slim audit``."""

CHECK_REPORT = "urn:slim:check:v1"
"""Schema of the report of ``slim check``."""

DIFF_REPORT = "urn:slim:diff:v1"
"""Schema of the report of ``slim diff``."""

DELTA_REPORT = "urn:slim:delta-report:v1"
"""Schema of the report of ``slim delta``."""

DELTA_APPLY_REPORT = "urn:slim:delta-apply:v1"
"""Schema of the report of ``slim delta apply``."""

FLEET_REPORT = "urn:slim:fleet:v1"
"""Schema of the report of a fleet."""

FLEET_TASK = "urn:slim:fleet-task:v1"
"""Schema of what a fleet keeps of one task."""

TRACE_REPORT = "urn:slim:trace:v1"
"""Schema of the report of ``slim trace``, ``merge``, ``collect`` and ``show``."""

TRACE_DIFF_REPORT = "urn:slim:trace-diff:v1"
"""Schema of the report of ``slim trace diff``."""

TRACE_CHECK_REPORT = "urn:slim:trace-check:v1"
"""Schema of the report of ``slim trace check``."""

UNTOUCHED = "(untouched)"
"""Label of the row that holds the bytes that no pass and no rule changes."""
