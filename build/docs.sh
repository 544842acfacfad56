#!/usr/bin/env bash
# Builds the documentation from docs/ and the XML docs into docs/_site, warnings as errors, and checks every link of it.
# docfx is a local tool (.config/dotnet-tools.json): once restored, all of this works without a network.
#
#   build/docs.sh            builds and checks
#   build/docs.sh --serve    then shows it at http://localhost:8080
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

dotnet tool restore
dotnet restore src/GenerativeML
dotnet build build/loadable-class-stub -c Release -v quiet # docfx compiles the library by itself, but not what it refers to
rm -rf docs/api docs/_site # pages of types that are gone
dotnet docfx docfx.json --warningsAsErrors
dotnet run build/check-site.cs -- docs/_site
[ "${1:-}" != --serve ] || exec dotnet docfx serve docs/_site
