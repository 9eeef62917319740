"""Put the sample stack together and publish it."""

from __future__ import annotations

from pathlib import Path

from slim.model.progress import Progress, Silent
from slim.model.stack import LayerKind
from slim.sample import APPLICATION, LAUNCH_MODULE
from slim.sample.contents import LayerContents
from slim.sample.distributions import add_distribution, closure
from slim.sample.layers import SampleLayer, template
from slim.sample.layout import Interpreter
from slim.sample.publish import publish_layers
from slim.sample.runtime import runtime_contents


def build_sample(target: Path, *, progress: Progress | None = None) -> Path:
    """Publish the sample stack into the folder ``target``, which has to be empty, and return it.

    The same files give the same archives, byte for byte. Raises ConfigError where ``target`` isn't
    empty or the running Python can't serve as a runtime, StorageError where files are missing or
    can't be read or written.
    """
    progress = progress or Silent()
    progress.stage("Collecting the sample layers")
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
    return publish_layers(target, layers, interpreter, progress)
