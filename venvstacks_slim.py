"""Start the command line, or say that another distribution's files are in the way.

On PyPI, ``slim`` is somebody else's project. It installs a package of the same name, and whichever
of the two was installed last has overwritten files of the other. The scripts ``slim`` and
``venvstacks-slim`` therefore begin here, in a module that the other doesn't have.
"""

from __future__ import annotations

import sys

DISTRIBUTION = "venvstacks-slim"
OTHER = "slim"
EXIT_CONFIGURATION = 2  # as slim.errors.ConfigError, which can't be relied upon here


def main() -> int:
    """Run the command line and return its exit code.

    Where the package ``slim`` isn't the one that belongs to this module, say why on stderr and
    return 2.
    """
    try:
        import slim

        if getattr(slim, "__distribution__", None) == DISTRIBUTION:
            from slim.cli import main as command
        else:
            return _refuse(getattr(slim, "__file__", None) or ", ".join(slim.__path__))
    except Exception:  # whatever the other package's files do when they meet ours
        if _other_version() is None:
            raise
        return _refuse(None)
    return command()


def _other_version() -> tuple[str, str] | None:
    """Version and place of the other distribution called slim; None where there is none."""
    from importlib import metadata

    try:
        other = metadata.distribution(OTHER)
    except metadata.PackageNotFoundError:
        return None
    return other.version, str(other.locate_file(""))


def _refuse(file: str | None) -> int:
    other = _other_version()
    if other is None:
        message = f"the package slim in {file} isn't that of {DISTRIBUTION}"
        hint = f"pip install --force-reinstall {DISTRIBUTION}"
    else:
        message = (
            f"another distribution called {OTHER} (version {other[0]}) is installed in {other[1]},"
            " and its files overwrite ours"
        )
        hint = f"pip uninstall {OTHER}, then pip install --force-reinstall {DISTRIBUTION}"
    sys.stderr.write(f"slim: installation: {message}\n  hint: {hint}\n")
    return EXIT_CONFIGURATION


if __name__ == "__main__":
    sys.exit(main())
