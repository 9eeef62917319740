#!/usr/bin/env bash
# The rival: what a release engineer writes in an afternoon instead of using slim. Unpacks every layer, deletes what is
# called like something needless, runs GNU strip over every library, and packs again with `xz -6 -T0`.
#
#   bench/recipe.sh PUBLISHED OUT
#
# It gets the benefit of every doubt: no manifest is written, nothing is checked.
set -euo pipefail

if [[ $# -ne 2 ]]; then
    echo "usage: $0 PUBLISHED OUT" >&2
    exit 2
fi
published=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT

for archive in "$published"/*.tar.xz; do
    tar -xf "$archive" -C "$work"
done
cd "$work"

folders=(__pycache__ test tests idlelib turtledemo ensurepip lib2to3 tkinter)
files=('*.a' '*.pyi' '*.pyx' '*.pxd' '*.h' '*.hpp' '*.c' '*.cpp')
for name in "${folders[@]}"; do
    find . -depth -type d -name "$name" -exec rm -rf {} +
done
for pattern in "${files[@]}"; do
    find . -type f -name "$pattern" -delete
done
# strip complains about files that aren't libraries, whatever they are called
find . -type f \( -name '*.so' -o -name '*.so.*' \) -exec strip --strip-unneeded {} + || true

for layer in *; do
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - "$layer" | xz -6 -T0 >"$out/$layer.tar.xz"
done
