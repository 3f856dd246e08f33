#!/bin/sh
# `brownie test` against the node of EINPROOF_RPC, with Brownie's own files in .build/brownie.
# Usage: run_tests.sh PATH/TO/brownie
set -eu
cd "$(dirname "$0")"
export HOME="$(cd ../..; pwd)/.build/brownie"
mkdir -p "$HOME"
"$1" networks delete anvil >/dev/null 2>&1 || true
"$1" networks add einproof anvil host="$EINPROOF_RPC" chainid=31337 >/dev/null
exec "$1" test --network anvil
