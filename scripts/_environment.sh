# shellcheck shell=bash
# Sourced by the other scripts: installs uv, Python 3.14 and the pinned requirements into the
# project's own (git-ignored) folders and leaves the rest of the machine alone.

PYTHON_WANTED=">=3.14.2,<3.15" # What Home Assistant asks for.
UV_WANTED="uv==0.13.9"
PROJECT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$PROJECT" || exit 1
# Otherwise each of the many processes that the tests start compiles Home Assistant again.
unset PYTHONDONTWRITEBYTECODE

# Prints the current step on stderr.
say() { printf '\033[1m▸ %s\033[0m\n' "$*" >&2; }

# Prints on stderr what went wrong and how to fix it.
complain() { printf '\033[1;31m✗ %s\033[0m\n' "$*" >&2; }

# Ends the script with a sentence that says what to do.
fail() {
  complain "$@"
  exit 1
}

# Sets UV to a uv: the one on the PATH, else one of the project's own.
find_uv() {
  UV="$(type -P uv)" && return
  UV="$PROJECT/.tools/uv/bin/uv"
  [ ! -x "$UV" ] || return 0
  say "Installing uv into .tools/"
  python3 -m pip install -qq --target "$PROJECT/.tools/uv" "$UV_WANTED" ||
    fail "Could not install uv. Install it (https://docs.astral.sh/uv/) and run this script again."
}

# Sets PYTHON to an interpreter that Home Assistant runs on: an installed one, else one that uv
# downloads, else one unpacked from Debian's newer suite.
find_python() {
  local find=("$UV" python find --quiet --system --no-python-downloads "$PYTHON_WANTED")
  PYTHON="$("${find[@]}" 2>/dev/null)" && return
  export UV_PYTHON_INSTALL_DIR="$PROJECT/.tools/python"
  PYTHON="$("${find[@]}" 2>/dev/null)" && return
  PYTHON="$PROJECT/.python/usr/bin/python3.14"
  [ ! -x "$PYTHON" ] || return 0
  say "Downloading Python 3.14"
  if UV_HTTP_RETRIES=1 "$UV" python install --quiet --no-bin "$PYTHON_WANTED" 2>/dev/null; then
    PYTHON="$("${find[@]}")" && return
  fi
  UV="$UV" "$PROJECT/scripts/_debian_python.sh" "$PROJECT/.python" ||
    fail "No Python $PYTHON_WANTED here. Install it with your system's packages and run this script again."
}

# Sets up the virtual environment $1 with the requirements in the files $2…. With HOME_ASSISTANT
# set to `newest`, `beta` or `dev`, the newest release, beta or development version of Home
# Assistant replaces the pinned one, in an environment of its own.
home_assistant() {
  local name="$1" wanted newest=(--upgrade-package homeassistant)
  shift
  case "${HOME_ASSISTANT:-pinned}" in
    pinned) environment "$name" "$@" && return ;;
    newest) wanted="homeassistant" ;;
    beta) wanted="homeassistant" newest+=(--prerelease allow) ;;
    dev) wanted="homeassistant @ git+https://github.com/home-assistant/core@dev" ;;
    *) fail "HOME_ASSISTANT is $HOME_ASSISTANT. Set it to newest, beta or dev, or unset it." ;;
  esac
  environment "$name-$HOME_ASSISTANT" "$@"
  find_uv
  say "Installing the $HOME_ASSISTANT version of Home Assistant into $name-$HOME_ASSISTANT/"
  local plugin="pytest-homeassistant-custom-component" install=("$UV" pip install --quiet)
  if grep -q "^$plugin==" "$@"; then
    "${install[@]}" "${newest[@]}" --upgrade-package "$plugin" "$plugin" || fail_to_install
  fi
  "${install[@]}" "${newest[@]}" "$wanted" || fail_to_install
  # Requirements of its components, which Home Assistant would install automatically.
  local sources=("${@/%.txt/.in}") components
  mapfile -t components < <(sed -nE "/^(homeassistant|$plugin)==/d; s/^([A-Za-z-]+)==.*/\1/p" "${sources[@]}")
  "${install[@]}" --constraint "$(echo "$VIRTUAL_ENV"/lib/*/site-packages/homeassistant/package_constraints.txt)" \
    "${components[@]}" || fail_to_install
}

# Ends the script after requirements could not be installed.
fail_to_install() { fail "Could not install the requirements. Check the network and run this script again."; }

# Syncs the virtual environment $1 with the requirements files $2…, and puts it on the PATH. It
# keeps a copy of those files: if that begins with them, perhaps before others, nothing is to do.
# Scripts that run at the same time wait for one another here.
environment() {
  local name="$1" venv="$PROJECT/$1"
  shift
  mkdir -p "$PROJECT/.tools"
  (
    flock 9
    [ ! -x "$venv/bin/python" ] ||
      ! cat "$@" | cmp -s -n "$(cat "$@" | wc -c)" - "$venv/requirements.txt" || exit 0
    find_uv
    if [ ! -x "$venv/bin/python" ]; then
      find_python
      "$UV" venv --quiet --clear --python "$PYTHON" "$venv" || fail "Could not make $name/."
    fi
    say "Installing $* into $name/"
    rm -f "$venv/requirements.txt"
    "$UV" pip sync --quiet --require-hashes --python "$venv/bin/python" "$@" || fail_to_install
    cat "$@" >"$venv/requirements.txt"
  ) 9>"$PROJECT/.tools/lock" || exit 1
  export VIRTUAL_ENV="$venv" PATH="$venv/bin:$PATH"
}
