#!/usr/bin/env bash
# Makes tests/vectors/v1/ptau: a tiny powers-of-tau ceremony by snarkjs, and its powers as snarkjs
# reads them. Every run draws another secret.
set -euo pipefail

cd "$(dirname "$0")/.."
folder=tests/vectors/v1/ptau
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
snarkjs() { node node_modules/snarkjs/build/cli.cjs "$@" >"$work/log" || { cat "$work/log"; exit 1; }; }

snarkjs powersoftau new bn128 7 "$work/new.ptau"
snarkjs powersoftau contribute "$work/new.ptau" "$work/first.ptau" --name=fixture -e=fixture
snarkjs powersoftau beacon "$work/first.ptau" "$work/power7.ptau" \
  0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f 10 -n=beacon
snarkjs powersoftau verify "$work/power7.ptau"
mkdir -p "$folder"
cp "$work/power7.ptau" "$folder/power7.ptau"
node - "$folder/power7.ptau" "$folder/power7.json" <<'JS'
const fs = require('fs');
const { buildBn128 } = require('ffjavascript');
const { readBinFile } = require('@iden3/binfileutils');

(async () => {
  const [from, to] = process.argv.slice(2);
  const { fd, sections } = await readBinFile(from, 'ptau', 1);
  const curve = await buildBn128(true);
  const point = async (section, group, index) => {
    const size = group.F.n8 * 2;
    const data = await fd.read(size, sections[section][0].p + index * size);
    return group.toObject(group.fromRprLEM(data, 0)).slice(0, 2);
  };
  const powers = {};
  for (const index of [0, 1, 2, 127, 128]) powers[index] = await point(2, curve.G1, index);
  const text = { g1: powers, s_g2: await point(3, curve.G2, 1) };
  const decimal = (_, value) => (typeof value === 'bigint' ? value.toString() : value);
  fs.writeFileSync(to, JSON.stringify(text, decimal, 1) + '\n');
  await fd.close();
  await curve.terminate();
})();
JS
