"""A real stack to try slim on, put together in seconds from files that are on this machine anyway.

The runtime layer is the Python that runs slim, the framework layer holds the packages that slim
itself requires, and the application layer a module that uses all of them. It is published as
``venvstacks publish`` would, except that the archives are compressed quickly: compare what is
installed, not what is archived, or pack again first.
"""

from __future__ import annotations

from pathlib import Path

from slim.model.progress import Progress, Silent
from slim.model.stack import LayerKind
from slim.sample.contents import LayerContents
from slim.sample.distributions import add_distribution, closure
from slim.sample.layers import SampleLayer, template
from slim.sample.layout import Interpreter
from slim.sample.publish import publish_layers
from slim.sample.runtime import runtime_contents

__all__ = ["APPLICATION", "LAUNCH_MODULE", "build_sample"]

APPLICATION = "app-sample"
"""The application layer. Deployed, it runs as ``app-sample/bin/python -m sample_app`` and prints one line of JSON."""

LAUNCH_MODULE = "sample_app"


def build_sample(target: Path, *, progress: Progress | None = None) -> Path:
    """Publish the sample stack into the folder ``target``, which mustn't hold anything, and return it.

    The same files give the same archives, byte for byte. Raises ConfigError where ``target`` isn't
    empty or the running Python can't serve as a runtime, StorageError where files are missing or
    can't be read or written.
    """
    watch = progress or Silent()
    watch.stage("Collecting the sample layers")
    interpreter = Interpreter.running()
    framework = LayerContents()
    distributions = closure()
    for distribution in distributions.values():
        add_distribution(framework, interpreter.layout.site, distribution)
    layers = (
        SampleLayer(
            name=f"cpython{interpreter.short}",
            kind=LayerKind.RUNTIME,
            contents=runtime_contents(interpreter),
        ),
        SampleLayer(
            name="framework-sample",
            kind=LayerKind.FRAMEWORK,
            contents=framework,
            pins=tuple(f"{name}=={found.version}" for name, found in distributions.items()),
        ),
        SampleLayer(
            name=APPLICATION,
            kind=LayerKind.APPLICATION,
            contents=LayerContents(),
            requires=("framework-sample",),
            launch_module=LAUNCH_MODULE,
            modules={f"{LAUNCH_MODULE}.py": template("sample_app.py")},
        ),
    )
    return publish_layers(target, layers, interpreter, watch)
