#!/usr/bin/env bash
# Runs what build/gpu-check.sh packed, on a machine with a GPU and any PyTorch, where nothing is installed or downloaded:
# every family on the GPU against the CPU, and training steps against plain TorchSharp and PyTorch. Within ten minutes.
#
#   build/gpu-run.sh artifacts/gpu-check.tar.xz [--cpu] [--json results.json]      PYTHON=python3
#
# --cpu does the same with smaller networks where there is no GPU.
set -euo pipefail
archive=$1
shift
export PYTHON=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tar -C "$folder" -xJf "$archive"

TORCH_LIB=$("$PYTHON" -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))')
export TORCH_LIB LD_LIBRARY_PATH=$TORCH_LIB${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# What TorchSharp's own native part wants of libtorch and this one lacks. A call of such a function ends the process, so
# that the native part is built anew where there is any, and the sources and a compiler are there.
missing() {
  comm -23 <(nm -D --undefined-only "$folder/program/libLibTorchSharp.so" | awk '{ print $NF }' | grep -E 'at|torch|c10' |
    sort -u) <(nm -D --defined-only "$TORCH_LIB"/lib{torch,torch_cpu,c10}.so | awk 'NF { print $NF }' | sort -u)
}
if command -v nm > /dev/null && absent=$(missing) && [ -n "$absent" ]; then
  echo "gpu-run: this libtorch lacks $(wc -l <<< "$absent") functions of those that TorchSharp's native part calls" >&2
  if [ -d "$folder/Native" ] && command -v g++ > /dev/null; then
    bash "$folder/gpu-native.sh" "$folder/Native" "$folder/program" ||
      echo "gpu-run: it could not be built here; going on with the package's own" >&2
  fi
fi

"$folder/program/GpuCheck" --peer "$folder/gpu_peer.py" "$@"
