"""Making a stack smaller, trying it, and looking into it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from slim.api.common import PathName, optional_path
from slim.api.remote import places
from slim.api.settings import load_config
from slim.api.stage_log import logged_stages

if TYPE_CHECKING:
    from slim.config.settings import Config
    from slim.model.audit import Audit
    from slim.model.outcome import Explanation, RunResult
    from slim.model.progress import Progress
    from slim.model.rule import Safety


def run(
    stack: PathName,
    output: PathName | None = None,
    *,
    config: Config | None = None,
    platforms: Iterable[str] = (),
    layers: Iterable[str] = (),
    dry_run: bool = False,
    force: bool = False,
    verify: bool = False,
    unverified: bool = False,
    tried: Iterable[PathName] = (),
    repair: bool = True,
    keep_removed: PathName | None = None,
    symbols: PathName | None = None,
    previous: PathName | None = None,
    canary: bool = False,
    newest: str | None = None,
    unsafe_store: bool = False,
    cache: PathName | None = None,
    recheck: float = 0.0,
    progress: Progress | None = None,
) -> tuple[RunResult, ...]:
    """Make the layers of a stack smaller, prove that they still work, and publish them.

    ``stack`` is a folder that venvstacks published, exported or built, a single layer archive, or
    any folder with Python in it; it is never changed. ``output`` is where the result goes: a folder
    that mustn't exist, but for ``force``; ``dry_run`` writes nothing. ``layers`` may change.

    ``verify`` deploys the result privately and tries it before it is published; what broke
    something is taken back, or refused with ``repair=False``. What the profile ``aggressive`` makes
    is only published with ``verify`` and a launch command for each application layer, or with
    ``tried``: JSON reports of :func:`verify` from other hosts about this very result;
    ``unverified`` lets it out untried. ``keep_removed`` is an archive for the originals of what is
    removed and rewritten, ``symbols`` a folder for what debuggers need of stripped files.
    ``previous`` is what was published before: a layer with the same files keeps its archive.
    ``cache`` is a folder or URL of a cache of results, of whose whole runs ``recheck`` is the
    share, from 0 to 1, that is made anew and compared. ``canary`` removes nothing: layers log what
    would have been and is used. ``stack``, ``output`` and ``previous`` may be URLs; ``newest`` is
    one that will name ``output``, ``unsafe_store`` allows stores that ignore create-only writes.

    Returns one result for each manifest. Nothing was published where ``verification.passed`` of one
    is false, or an error of :mod:`slim.errors` is raised.
    """
    from slim.pipeline import stages

    config, platforms = config or load_config(), tuple(platforms)
    with logged_stages(progress) as observed, places(observed, platforms) as here:
        target = here.optional_output(output, force=force, newest=newest, unsafe_store=unsafe_store)
        request = stages.RunRequest(
            source=here.publishable(stack),
            output=target,
            config=config,
            platforms=platforms,
            layers=tuple(layers),
            dry_run=dry_run,
            force=force,
            verify=verify,
            unverified=unverified,
            tried=tuple(Path(report) for report in tried),
            repair=repair,
            keep_removed=optional_path(keep_removed),
            symbols=optional_path(symbols),
            previous=here.previous(previous),
            later=here.later,
            canary=canary,
            cache=None if cache is None else str(cache),
            recheck=recheck,
        )
        return here.renamed(stages.run(request, observed))


def explain(
    stack: PathName,
    path: str,
    *,
    config: Config | None = None,
    platforms: Iterable[str] = (),
    layers: Iterable[str] = (),
    progress: Progress | None = None,
) -> tuple[Explanation, ...]:
    """Return what becomes of the files at ``path``: by which rules, and on what evidence.

    ``path`` starts with the name of a layer of ``stack``, or is a path in any layer; ``layers`` are
    those that a run would change. Nothing is written. Raises
    :class:`~slim.errors.ConfigError` where no file is meant.
    """
    from slim.pipeline import explain as explaining

    config, platforms = config or load_config(), tuple(platforms)
    with logged_stages(progress) as observed, places(observed, platforms) as here:
        request = explaining.RunRequest(
            source=here.input(stack),
            output=None,
            config=config,
            platforms=platforms,
            layers=tuple(layers),
            dry_run=True,
        )
        return explaining.explain(request, path, observed)


def audit(
    path: PathName,
    *,
    config: Config | None = None,
    platforms: Iterable[str] = (),
    why: Iterable[str] = (),
    prove: bool = False,
    findings: bool = True,
    profiles: Iterable[Safety] | None = None,
    progress: Progress | None = None,
) -> tuple[Audit, ...]:
    """Return where the bytes of ``path`` are, what stands out, and what could go.

    ``path`` is anything: a stack, an archive (tar, zip, wheel), a venv, a container layer, a plain
    folder, or the URL of a stack or an archive. Nothing is changed. ``why`` are globs of files to
    explain: owner, who requires, imports and links them. ``prove`` makes the plans that a run would
    make, which takes several times as long; otherwise savings are estimates. Without ``findings``
    only sizes are measured. ``profiles`` are those whose savings are computed; None means all.

    Returns one audit for each manifest.
    """
    from slim.auditing import engine
    from slim.model.rule import UNTRACED_PROFILES

    config, platforms = config or load_config(), tuple(platforms)
    with logged_stages(progress) as observed, places(observed, platforms) as here:
        request = engine.AuditRequest(
            source=here.input(path),
            config=config,
            platforms=platforms,
            why=tuple(why),
            prove=prove,
            findings=findings,
            profiles=tuple(UNTRACED_PROFILES if profiles is None else profiles),
        )
        return here.renamed(engine.audit(request, observed))


def verify(
    original: PathName,
    slimmed: PathName,
    *,
    config: Config | None = None,
    platforms: Iterable[str] = (),
    progress: Progress | None = None,
) -> tuple[RunResult, ...]:
    """Deploy two stacks privately, and check that what worked in the one works in the other.

    ``original`` and ``slimmed`` are folders that venvstacks or slim published, their URLs, or
    trees that were deployed; neither is changed. The commands of ``config`` are run in both.

    Returns one result for each manifest of ``original``, whose ``verification`` lists every check
    and what failed. Raises :class:`~slim.errors.ConfigError` where the two don't belong together.
    """
    from slim.verification import compare_stacks

    config, platforms = config or load_config(), tuple(platforms)
    with logged_stages(progress) as observed, places(observed, platforms) as here:
        request = compare_stacks.VerifyRequest(
            original=here.input(original),
            slimmed=here.input(slimmed),
            config=config,
            platforms=platforms,
        )
        return here.renamed(compare_stacks.verify(request, observed))


def build_sample(folder: PathName, *, progress: Progress | None = None) -> Path:
    """Publish a small real stack to try slim on, made from the Python that runs it.

    Returns ``folder``, which mustn't hold anything yet. Raises :class:`~slim.errors.ConfigError`
    where it does, or where the running Python can't serve as a runtime.
    """
    from slim.sample.build import build_sample as build

    with logged_stages(progress) as observed:
        return build(Path(folder), progress=observed)
