"""``slim run``, and the order of its stages.

Read, inventory, analyse, plan, apply, verify, write: only this module knows the order.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace

from slim import __version__
from slim.analysis.facts import Facts
from slim.errors import ConfigError, RefusedError
from slim.inventory.locate import locate
from slim.inventory.located import Located
from slim.model.cache import CacheUse
from slim.model.context import RunContext
from slim.model.outcome import Check, RunResult, Verification
from slim.model.progress import Progress, Silent
from slim.model.settings import RestPolicy
from slim.model.stack import StackKind
from slim.pipeline.elsewhere import check_tried_elsewhere, read_trials
from slim.pipeline.gate import check_gate, check_tried, is_unverified
from slim.pipeline.guess import Guess
from slim.pipeline.layers import write_layers
from slim.pipeline.prepare import RunRequest, prepared
from slim.pipeline.previous import Previous, read_previous
from slim.pipeline.side_outputs import SideOutputs, side_outputs
from slim.pipeline.way_back import check_way_back, with_guards, with_rest_packs
from slim.pipeline.whole import WholeRun, keyed_settings
from slim.plan.accounts import account
from slim.plan.planned import PlannedStack
from slim.plan.signing import to_sign
from slim.publish.publisher import Publisher
from slim.publish.staging import check_target, publish, staging
from slim.reuse.cache import open_cache
from slim.reuse.layers import LayerCache
from slim.rules.digest import rules_digest
from slim.sources.fetch import fetched
from slim.system.workspace import workspace
from slim.verification.repair import prove
from slim.verification.static import check_licences, check_links

__all__ = ["RunRequest", "run"]


def run(request: RunRequest, progress: Progress | None = None) -> tuple[RunResult, ...]:
    """Make a smaller stack, or with ``dry_run`` tell what would be done.

    Returns one result for each manifest.

    Raises the errors of :mod:`slim.errors`; when it does, nothing was published. Nothing is either
    where trying the result (``verify``) failed: then the results say so.
    """
    with ExitStack() as resources:
        here = replace(request, source=resources.enter_context(fetched(request.source)))
        if request.previous is not None:
            previous = resources.enter_context(fetched(request.previous))
            here = replace(here, previous=previous)
        return _run(here, progress or Silent())


def _run(request: RunRequest, progress: Progress) -> tuple[RunResult, ...]:
    started = time.monotonic()
    stacks = locate(request.source, platforms=request.platforms)
    _check_layers(request, stacks)
    check_gate(request, stacks)
    for located in stacks:
        check_way_back(request, located)
    trials = read_trials(request.tried)
    previous = _previous(request, stacks)
    if request.dry_run:
        if request.keep_removed is not None or request.symbols is not None:
            raise ConfigError(
                "a dry run removes nothing that could be kept",
                hint="give -o OUT instead of --dry-run",
            )
        with workspace() as spool:
            context = request.config.context(spool, progress)
            return tuple(
                _run_one(request, located, context, None, None, previous) for located in stacks
            )
    if request.output is None:
        raise ConfigError("no output folder", hint="give one with -o, or use --dry-run")
    check_target(request.output, request.source, force=request.force)
    cache = None
    if request.cache is not None:
        read = (request.source, request.previous)
        cache = open_cache(request.cache, inputs=read, output=request.output)
    with staging(request.output) as folder, side_outputs(request) as extras:
        spool_dir = folder / "spool"
        spool_dir.mkdir()
        context = request.config.context(spool_dir, progress)
        publisher = Publisher(
            request.output,
            folder / "set",
            format_name=request.config.format,
            effort=request.config.effort,
            cache=None if cache is None else LayerCache(cache),
        )
        whole = None
        if cache is not None:
            settings = keyed_settings(request.config)
            whole = WholeRun.of(cache, request, settings, stacks, previous)
        taken = None if whole is None else whole.take(publisher.staged(), stacks, context)
        if taken is None:
            results = tuple(
                _run_one(request, located, context, publisher, extras, previous)
                for located in stacks
            )
            if not all(result.verification.passed for result in results):
                return results
            results = extras.write(results, progress)
            if whole is not None:
                whole.store(publisher.staged(), results)
        else:
            rules = {rule.id: rule for rule in request.config.rules}
            results = tuple(replace(result, rules=rules) for result in taken)
        if request.tried:
            check_tried_elsewhere(results, trials, len(request.config.verify.commands))
        progress.stage("Publishing")
        with extras.published(publisher.staged()):
            publish(publisher.staged(), request.output, force=request.force)
    use = None
    if cache is not None and whole is not None:
        place, notes = cache.store.url, tuple(cache.notes)
        whole_run, again = taken is not None, whole.rechecked
        use = CacheUse(place=place, whole=whole_run, rechecked=again, notes=notes)
    elapsed = time.monotonic() - started
    return tuple(replace(result, elapsed=elapsed, cache=use) for result in results)


def _previous(request: RunRequest, stacks: Iterable[Located]) -> Previous | None:
    if request.previous is None:
        return None
    for located in stacks:
        if located.kind is not StackKind.PUBLISHED:
            raise ConfigError(
                "only a published stack can keep what was published before",
                file=request.source,
                hint="--previous goes with what `venvstacks publish` wrote",
            )
    return read_previous(request.previous, request.later)


def _check_layers(request: RunRequest, stacks: Iterable[Located]) -> None:
    known = {layer.name: layer.layer_name for located in stacks for layer in located.stack}
    names = {*known, *known.values()}
    wrong = [name for name in request.layers if name not in names]
    wrong += [name for name in request.config.unknown_layers(names)]
    if wrong and request.source.is_dir():
        raise ConfigError(
            f"no layer called {', '.join(sorted(set(wrong)))}",
            file=request.source,
            hint=f"there is {', '.join(known)}",
        )


def _run_one(
    request: RunRequest,
    located: Located,
    context: RunContext,
    publisher: Publisher | None,
    extras: SideOutputs | None,
    previous: Previous | None,
) -> RunResult:
    started = time.monotonic()
    guess = Guess.of(request, publisher)
    asks_again = request.verify or request.config.rest_packs is not RestPolicy.NONE
    with prepared(request, located, context, guess, asks_again=asks_again) as (planned, planner):
        digest = rules_digest(request.config.rules)
        planned = with_guards(request, planned, planner.facts)
        tried = Verification()
        if request.verify:
            planned, tried = _tried(request, planned, planner.facts)
        check_tried(request, planned.loaded.stack, tried)
        publisher = publisher if tried.passed else None
        unverified = publisher is not None and is_unverified(request, planned.loaded.stack, tried)
        tried = replace(tried, unverified=unverified)
        back = with_rest_packs(request, planned, planner, context)
        planned = back.planned
        layers, checks = write_layers(
            request,
            planned,
            publisher,
            digest,
            context,
            previous,
            unverified=unverified,
            packs=back.packs,
            guess=guess,
        )
        static = Verification(checks=(*_static_checks(planned, planner.facts), *checks))
        if not static.passed and tried.passed:
            raise _refused(static)
        if extras is not None and publisher is not None:
            extras.add(planned, layers)
            publisher.add_files(back.files)
        verification = replace(tried, checks=(*static.checks, *tried.checks))
        loaded, plan = planned.loaded, planned.plan
        return RunResult(
            stack=loaded.stack,
            plan=plan,
            accounts=account(loaded.inventory, plan, planned.added_records),
            layers=layers,
            verification=verification,
            profile=request.config.profile,
            rules={rule.id: rule for rule in request.config.rules},
            rules_sha256=digest,
            output=str(request.output) if publisher is not None else None,
            dry_run=request.dry_run,
            elapsed=time.monotonic() - started,
            slim_version=__version__,
            inventory=loaded.inventory,
            signing=to_sign(loaded.stack, loaded.inventory, plan),
        )


def _tried(
    request: RunRequest, planned: PlannedStack, facts: Facts
) -> tuple[PlannedStack, Verification]:
    """Deploy and try what would be published; take back what broke it."""
    proved = prove(planned, request.config, facts, repair=request.repair)
    verification = Verification(
        checks=proved.checks, repairs=proved.repairs, notes=proved.notes, untried=proved.untried
    )
    return proved.planned, verification


def _static_checks(planned: PlannedStack, facts: Facts) -> Iterator[Check]:
    inventory = planned.loaded.inventory
    yield from planned.checks
    yield check_links(facts.libraries, inventory, planned.plan)
    yield check_licences(inventory, planned.plan)


def _refused(verification: Verification) -> RefusedError:
    failures = [failure for check in verification.checks for failure in check.failures]
    shown = "\n  ".join(failures[:10])
    more = f"\n  and {len(failures) - 10} more" if len(failures) > 10 else ""
    return RefusedError(
        f"verification refused the result, nothing was published:\n  {shown}{more}",
        hint="a rule or `drop` of your own may take what others need: list it under `keep`, or "
        "take the rule back with --disable; please report what a built-in rule did",
    )
