#!/usr/bin/env bash
# Compiles TorchSharp's native part against the PyTorch that is here, of whatever version and with or without CUDA:
# libLibTorchSharp.so in place of the one in TorchSharp's package, which is made for one version of libtorch.
#
#   gpu-native.sh <TorchSharp's src/Native> <folder for libLibTorchSharp.so>      PYTHON=python3  JOBS=<all cores>
#
# Makes nothing where this PyTorch does not fit a source, and names it: usually a call with an argument more or less, to
# be mended in a copy of the sources.
set -euo pipefail
sources=$(cd "$1" && pwd)
target=$(mkdir -p "$2" && cd "$2" && pwd)
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

# PyTorch tells where it is, and which of the standard library's two layouts it uses. Its headers lie in its own folder,
# or where a distribution puts headers.
mapfile -t torch < <("${PYTHON:-python3}" -c '
import os, torch
print(os.path.dirname(torch.__file__))
print(int(torch._C._GLIBCXX_USE_CXX11_ABI))
print(torch.__version__, "with CUDA", torch.version.cuda)')
libraries=${torch[0]}/lib
headers=${torch[0]}/include
[ -d "$headers/torch/csrc" ] || headers=/usr/include
flags="-O1 -w -fPIC -D_GLIBCXX_USE_CXX11_ABI=${torch[1]} -I$sources -I$sources/LibTorchSharp"
flags+=" -isystem $headers/torch/csrc/api/include"
[ "$headers" = /usr/include ] || flags+=" -isystem $headers"
export flags objects

compile() {
  local compiler='g++ -std=c++17' name
  name=$(basename "$1")
  [[ $name != *.c ]] || compiler=gcc
  # shellcheck disable=SC2086  # the flags are words
  $compiler $flags -c "$1" -o "$objects/$name.o" 2> "$objects/$name.log" ||
    { echo "gpu-native: $(grep -m1 error: "$objects/$name.log")" >&2; return 1; }
}
export -f compile
find "$sources/LibTorchSharp" -maxdepth 1 \( -name '*.cpp' -o -name '*.c' \) -print0 |
  xargs -0 -P "${JOBS:-$(nproc)}" -I{} bash -c 'compile "$1"' _ {}

# Nothing in these objects names the CUDA part, which has to be loaded all the same to register its kernels.
cuda=()
[ ! -e "$libraries/libtorch_cuda.so" ] || cuda=(-Wl,--no-as-needed -ltorch_cuda -lc10_cuda)
g++ -shared -o "$target/libLibTorchSharp.so" "$objects"/*.o \
  -L"$libraries" -Wl,-rpath,"$libraries" "${cuda[@]}" -ltorch -ltorch_cpu -lc10
echo "gpu-native: $target/libLibTorchSharp.so for PyTorch ${torch[2]}"
