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

# TorchSharp's own native part is made for this version of libtorch. With others it loads, and then deadlocks or ends the
# process as soon as their objects are laid out otherwise: there it is built anew.
made_for=2.10
version=$("$PYTHON" -c 'import torch; print(torch.__version__)')
if [[ $version != "$made_for".* ]]; then
  echo "gpu-run: PyTorch is $version, and TorchSharp's native part is made for $made_for" >&2
  { [ -d "$folder/Native" ] && bash "$folder/gpu-native.sh" "$folder/Native" "$folder/program" >&2; } ||
    echo "gpu-run: it could not be built anew; going on with what there is" >&2
fi

"$folder/program/GpuCheck" --peer "$folder/gpu_peer.py" "$@"
