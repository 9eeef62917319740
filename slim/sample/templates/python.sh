#!/usr/bin/env bash
# Starts Python for this layer, with the library folders of the layer and of those below it on the search path.
set -eu
here=$(readlink -f -- "${BASH_SOURCE[0]}")
layer=$(dirname -- "$(dirname -- "$here")")
layers=$(dirname -- "$layer")
for folder in @FOLDERS@; do
    @VARIABLE@=${@VARIABLE@:+$@VARIABLE@:}$folder
done
export @VARIABLE@
# Under the wrapper's own name, Python finds the layer's pyvenv.cfg.
exec -a "$layer/bin/python" "$layer/bin/python_" "$@"
