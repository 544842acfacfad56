#!/usr/bin/env bash
# Builds everything, warnings as errors, and runs every test project. Ends with one line over all of them:
#   N passed, N failed, N skipped
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
failed=0

build/setup.sh || exit 1

log=$(mktemp)
results=$(mktemp -d)
trap 'rm -rf "$log" "$results"' EXIT
dotnet build GenerativeML.sln -c Release --nologo -v:m -warnaserror 2>&1 | tee "$log" || failed=1
# Warnings that no switch turns into errors still say so in the build's own summary.
! grep -qE '(warning [A-Z]+[0-9]+|: warning)' "$log" || { echo 'test: the build has warnings' >&2; failed=1; }
[ $failed = 0 ] || exit 1

for project in tests/*/*.csproj; do
  grep -q '<PackageReference Include="MSTest"' "$project" || continue
  name=$(basename "$project" .csproj)
  echo "test: $name"
  dotnet test "$project" -c Release --no-build --nologo --logger "trx;LogFileName=$name.trx" --results-directory "$results" || failed=1
  # A run that crashed leaves no counters, and must not pass for one that had nothing to say.
  [ -f "$results/$name.trx" ] || { echo "test: $name left no results" >&2; failed=1; }
done

# The sum of an attribute of <Counters> over all result files.
total() {
  cat "$results"/*.trx 2> /dev/null | grep -o '<Counters [^>]*>' | sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" | awk '{ sum += $1 } END { print sum + 0 }'
}
ran=$(total executed)
passed=$(total passed)
skipped=$(($(total total) - ran + $(total inconclusive)))
not_passed=$((ran - passed - $(total inconclusive)))
[ "$ran" -gt 0 ] && [ "$not_passed" = 0 ] || failed=1
echo "$passed passed, $not_passed failed, $skipped skipped"
exit $failed
