#!/usr/bin/env bash
# Packs what build/gpu-run.sh needs on a machine that has a GPU and PyTorch and can download nothing: the check,
# self-contained for linux-x64 and without libtorch, its PyTorch peer, and what builds TorchSharp's native part there.
#
#   build/gpu-check.sh [TorchSharp's src/Native, at the version in Directory.Packages.props]
#
# Writes artifacts/gpu-check.tar.xz, of some 40 MB. Without the sources, the machine's PyTorch has to be of the version
# that TorchSharp's own native part is made for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

dotnet publish tests/GenerativeML.GpuCheck -c Release -r linux-x64 --self-contained -p:TorchRuntime=none \
  -p:DebugType=none -o "$folder/program" --nologo -v:quiet
cp tests/peers/gpu_peer.py build/gpu-native.sh "$folder"
[ $# = 0 ] || cp -r "$1" "$folder/Native"

mkdir -p artifacts
tar -C "$folder" -cJf artifacts/gpu-check.tar.xz .
size=$(stat -c %s artifacts/gpu-check.tar.xz)
echo "artifacts/gpu-check.tar.xz: $((size / 1000000)) MB"
[ "$size" -lt 50000000 ] || { echo "gpu-check: larger than 50 MB" >&2; exit 1; }
