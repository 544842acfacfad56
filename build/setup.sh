#!/usr/bin/env bash
# Checks that this machine can build and run the repository, and mends what it may: libtorch needs a newer libstdc++
# than some distributions have. Running it again costs next to nothing.
set -euo pipefail

needed=GLIBCXX_3.4.32

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$@" >&2; exit 1; }

sdk=$(command -v dotnet > /dev/null && dotnet --list-sdks | cut -d. -f1 | sort -n | tail -1 || true)
[ "${sdk:-0}" -ge 10 ] || fail "The .NET SDK 10 or later is needed: https://dotnet.microsoft.com/download"

# The libstdc++ that a program finds; empty where there is no glibc, as on macOS.
libstdcxx() { PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2> /dev/null | sed -n 's/.*libstdc++\.so\.6 (.*x86-64.*=> //p' | head -1; }
is_new_enough() { local library; library=$(libstdcxx); [ -z "$library" ] || grep -q $needed "$library"; }

# Debian 12 takes Debian 13's libstdc++ from the package sources that it has, under the next release's name.
install_from_next_debian() {
  local folder
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' RETURN
  mkdir -p "$folder/sources" "$folder/lists/partial"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    if [ -f "$file" ] && grep -q bookworm "$file"; then
      sed 's/bookworm/trixie/g' "$file" > "$folder/sources/$(basename "$file")"
    fi
  done
  local apt=(apt-get -qq -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$folder/sources"
    -o "Dir::State::lists=$folder/lists")
  export DEBIAN_FRONTEND=noninteractive
  "${apt[@]}" update > "$folder/log" 2>&1 && "${apt[@]}" install -y --no-install-recommends libstdc++6 >> "$folder/log" 2>&1 ||
    { tail -5 "$folder/log" >&2; return 1; }
}

if [ "$(uname -s)" = Linux ] && [ "$(uname -m)" = x86_64 ] && ! is_new_enough; then
  release=$(. /etc/os-release 2> /dev/null && echo "${ID:-}-${VERSION_CODENAME:-}" || true)
  if [ "$release" = debian-bookworm ] && [ "$(id -u)" = 0 ]; then
    say "installing Debian 13's libstdc++6: libtorch needs $needed"
    install_from_next_debian && is_new_enough || fail "Installing libstdc++6 of Debian 13 failed."
  elif [ "$release" = debian-bookworm ]; then
    fail "libtorch needs a libstdc++ with $needed, which Debian 12 lacks. As root, build/setup.sh installs Debian 13's:" \
      "  sudo build/setup.sh"
  else
    fail "libtorch needs a libstdc++ with $needed, and $(libstdcxx) has none: that of GCC 13.2 or later, as in" \
      "Ubuntu 24.04, Debian 13 or Fedora 38. Update the distribution, or put a newer libstdc++.so.6 (conda's" \
      "libstdcxx-ng, for example) into a folder and name that in LD_LIBRARY_PATH."
  fi
fi
