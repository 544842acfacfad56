#!/usr/bin/env bash
# Finds out which packages this machine can have, installs what stand-ins need, and leaves build/local.props so that
# plain dotnet build, test and run work. Running it again costs next to nothing.
#
#   GENERATIVEML_PACKAGES=published|standin   takes this mode (auto: whichever the machine can have)
#   LIBTORCH=<folder>                         the libtorch that stand-ins use (system: the one of the distribution)
#   MicrosoftMLVersion, MicrosoftMLTokenizersVersion, TorchSharpVersion, TorchRuntimePackage (none: no runtime)
#                                             other packages than the default
#
# What is given stays in build/local.props until something else is given.
set -euo pipefail
[ ! -d "${LIBTORCH-}" ] || LIBTORCH=$(cd "$LIBTORCH" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."

settings=build/local.props
probe=build/obj/probe
shim=build/standins/torch-dispatch

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$@" >&2; exit 1; }

# The environment's value, or else what an earlier run was given.
given() {
  local value=${!1-}
  [ -n "$value" ] || [ ! -f $settings ] || value=$(sed -n "s:.*<!-- $1=\(.*\) -->.*:\1:p" $settings)
  printf '%s' "$value"
}
asked=$(given GENERATIVEML_PACKAGES)
libtorch=$(given LIBTORCH)
overrides=(MicrosoftMLVersion MicrosoftMLTokenizersVersion TorchSharpVersion TorchRuntimePackage)
for name in "${overrides[@]}"; do declare -x "$name=$(given $name)"; done
case $asked in
  auto | '') asked= ;;
  published | standin) ;;
  *) fail "GENERATIVEML_PACKAGES is '$asked'; it can be published, standin or auto." ;;
esac

# ---- published packages

# What the answer of the probe depends on: versions, package sources, and what lies in sources that are folders.
sources_fingerprint() {
  {
    cat Directory.Packages.props build/Packages.props Directory.Build.targets
    for name in "${overrides[@]}"; do echo "$name=${!name}"; done
    local folder=$PWD config feed
    while :; do
      for config in "$folder"/[Nn]u[Gg]et.[Cc]onfig; do
        [ -f "$config" ] || continue
        cat "$config"
        sed -n 's/.*value="\([^"]*\)".*/\1/p' "$config" | while read -r feed; do
          (cd "$folder" && [ -d "$feed" ] && find "$feed" -name '*.nupkg' | sort) || true
        done
      done
      [ "$folder" != / ] || break
      folder=$(dirname "$folder")
    done
    cat ~/.nuget/NuGet/NuGet.Config ~/.config/NuGet/NuGet.Config 2>/dev/null || true
  } | sha256sum | cut -d' ' -f1
}

# Restores a project that needs what the product needs; leaves the missing packages in $probe/missing.
probe_published() {
  local key
  key=$(sources_fingerprint)
  [ "$(cat $probe/key 2>/dev/null)" != "$key" ] || return 0
  mkdir -p $probe
  rm -f $probe/key
  cat > $probe/Probe.csproj <<'PROJECT'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
  </PropertyGroup>
  <ItemGroup>
    <MLReference Include="Microsoft.ML" />
    <MLReference Include="Microsoft.ML.Tokenizers" />
    <TorchReference Include="TorchSharp" />
  </ItemGroup>
</Project>
PROJECT
  command -v dotnet > /dev/null || fail "The .NET SDK 10 is needed: https://dotnet.microsoft.com/download"
  if dotnet restore $probe/Probe.csproj -p:GenerativeMLPackages=published -v:q > $probe/log 2>&1; then
    : > $probe/missing
  else
    sed -n 's/.*error \(NU[0-9]*: .*\)/\1/p' $probe/log | sed 's/ \[[^][]*proj\]$//' | sort -u > $probe/missing
    [ -s $probe/missing ] || tail -5 $probe/log > $probe/missing
    # Only "there is no such package" is an answer to keep: a source may just not be reachable today.
    ! grep -qv '^NU110[1-3]' $probe/missing || return 0
  fi
  echo "$key" > $probe/key
}

# ---- stand-ins

find_libtorch() {
  openblas=
  if [ -n "$libtorch" ] && [ "$libtorch" != system ]; then
    [ -f "$libtorch/include/ATen/ATen.h" ] && [ -f "$libtorch/lib/libtorch_cpu.so" ] ||
      fail "LIBTORCH=$libtorch holds no include/ATen/ATen.h and lib/libtorch_cpu.so."
    headers=$libtorch/include
    libraries=$libtorch/lib
    return 0
  fi
  headers=/usr/include
  [ -f $headers/ATen/ATen.h ] || return 1
  for libraries in /usr/lib/*-linux-gnu /usr/lib64 /usr/lib; do
    [ ! -f "$libraries/libtorch_cpu.so" ] || break
  done
  openblas=$libraries/openblas-openmp
  [ -f "$libraries/libtorch_cpu.so" ] && [ -f "$openblas/libblas.so.3" ]
}

install_libtorch() {
  ! { find_libtorch && command -v g++ > /dev/null; } || return 0
  local packages=(g++)
  [ -n "$libtorch" ] && [ "$libtorch" != system ] || packages+=(libtorch-dev libopenblas0-openmp)
  if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    say "installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -qq -y --no-install-recommends "${packages[@]}" > /dev/null 2>&1 ||
      { apt-get update -qq && apt-get install -qq -y --no-install-recommends "${packages[@]}" > /dev/null; } || true
  fi
  find_libtorch && command -v g++ > /dev/null || fail \
    "Stand-ins need a C++ compiler and libtorch 1.13 or later. On Debian:" \
    "  sudo apt-get install ${packages[*]}" \
    "Elsewhere install g++ and set LIBTORCH to a folder with libtorch's include and lib, such as that of a pip-installed torch:" \
    "  LIBTORCH=\$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))') build/setup.sh"
}

build_shim() {
  # libtorch comes built with either of libstdc++'s two string layouts.
  local abi=1 link=() standard
  ! grep -qa 'torchCheckFailEPKcS2_jRKSs' "$libraries/libc10.so" || abi=0
  # Debian's libtorch takes whichever BLAS comes first, and one with threads of its own fights libtorch's: a DT_RPATH
  # and the order of the libraries put the one with OpenMP first. Other libtorch bring their BLAS with them.
  [ -z "$openblas" ] || link+=(-Wl,--disable-new-dtags "-Wl,-rpath,$openblas" "-L$openblas" -l:libopenblas.so.0 -l:libblas.so.3 -l:liblapack.so.3)
  [ "$headers" = /usr/include ] || link+=("-Wl,-rpath,$libraries")
  link+=("-L$libraries" -ltorch -ltorch_cpu -lc10)
  [ ! -f "$libraries/libtorch_cuda.so" ] || link+=(-ltorch_cuda)
  local include=("-I$headers/torch/csrc/api/include")
  [ "$headers" = /usr/include ] || include+=("-I$headers")
  local flags=(-O2 -fPIC -shared -fvisibility=hidden -w "-D_GLIBCXX_USE_CXX11_ABI=$abi" "${include[@]}")

  local stamp
  stamp=$({ cat $shim/*.cpp; echo "${flags[@]}" "${link[@]}"; stat -L -c '%s %Y' "$libraries/libtorch_cpu.so"; } | sha256sum)
  [ "$(cat $shim/lib/stamp 2>/dev/null)" != "$stamp" ] || return 0
  say "building the dispatcher shim for libtorch in $libraries"
  mkdir -p $shim/lib
  for standard in c++17 c++20; do # the newest headers ask for 20, the oldest know 17
    if g++ -std=$standard "${flags[@]}" $shim/*.cpp -o $shim/lib/libtorch-dispatch.so.new -Wl,--no-as-needed "${link[@]}" 2> $shim/lib/log; then
      mv $shim/lib/libtorch-dispatch.so.new $shim/lib/libtorch-dispatch.so
      echo "$stamp" > $shim/lib/stamp
      return 0
    fi
  done
  tail -20 $shim/lib/log >&2
  fail "The dispatcher shim does not compile against the libtorch in $libraries."
}

# ---- the choice

mode=$asked
if [ "$mode" != standin ]; then
  probe_published
  if [ ! -s $probe/missing ]; then
    mode=published
  elif [ "$mode" = published ]; then
    [ -n "${GENERATIVEML_PACKAGES-}" ] || say "published was asked for earlier; GENERATIVEML_PACKAGES=auto undoes that"
    fail "The package sources cannot give what published mode needs:" "$(sed 's/^/  /' $probe/missing)"
  else
    mode=standin
  fi
fi
if [ "$mode" = standin ]; then
  install_libtorch
  build_shim
fi

{
  echo '<Project>'
  echo '  <!-- Written by build/setup.sh, and not for git. What it was given: -->'
  for name in GENERATIVEML_PACKAGES LIBTORCH "${overrides[@]}"; do
    value=$(given $name)
    [ -z "$value" ] || echo "  <!-- $name=$value -->"
  done
  echo '  <PropertyGroup>'
  echo "    <GenerativeMLPackages Condition=\"'\$(GenerativeMLPackages)' == ''\">$mode</GenerativeMLPackages>"
  for name in "${overrides[@]}"; do
    [ -z "${!name}" ] || echo "    <$name Condition=\"'\$($name)' == ''\">${!name}</$name>"
  done
  echo '  </PropertyGroup>'
  echo '</Project>'
} > $settings.new
if cmp -s $settings.new $settings; then rm $settings.new; else mv $settings.new $settings; fi

if [ "$mode" = published ]; then
  say "published packages"
else
  say "stand-ins, on the libtorch in $libraries"
fi
