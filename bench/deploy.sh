#!/usr/bin/env bash
# Installs published layers the way an installer does: unpacks all archives side by side with the system's tar, then
# runs every layer's postinstall.py with the Python of its runtime.
#
#   bench/deploy.sh PUBLISHED TARGET
#
# TARGET mustn't exist. An application then runs as TARGET/LAYER/bin/python -m MODULE.
set -euo pipefail
shopt -s nullglob

if [[ $# -ne 2 ]]; then
    echo "usage: $0 PUBLISHED TARGET" >&2
    exit 2
fi
published=$(cd "$1" && pwd)
mkdir -p "$(dirname "$2")"
mkdir "$2"
cd "$2"
for archive in "$published"/*.tar.*; do
    case $archive in
        *.zst) zstd --quiet --decompress --stdout --long=27 "$archive" | tar -xf - ;;
        *) tar -xf "$archive" ;;
    esac
done
metadata=(*/share/venv/metadata/venvstacks_layer.json)
if [[ ${#metadata[@]} -eq 0 ]]; then
    echo "$published: no layer archives" >&2
    exit 1
fi
for file in "${metadata[@]}"; do
    layer=${file%%/*}
    base=$(sed -n 's/^ *"base_python": "\(.*\)",\{0,1\}$/\1/p' "$file")
    env -u PYTHONPATH -u PYTHONHOME "$layer/$base" "$layer/postinstall.py" >/dev/null
done
