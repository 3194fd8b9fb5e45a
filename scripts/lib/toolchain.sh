# shellcheck shell=bash
# Sourced by the scripts beside it: makes sure that the npm packages are there and finds Bun among them.
# Sets `repository` (absolute path) and `bun` (path of a Bun that runs here); prints progress to stderr.

repository=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
bun=

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

require_node() {
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    die "Cannot install the toolchain: node or npm is not in PATH; install Node.js 18 or newer with npm"
  fi
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  if ((major < 18)); then
    die "Cannot use Node.js $(node --version): expected 18 or newer"
  fi
}

# require_own_packages WHY: what a link leads to is another tree's, and must not lose anything because of this one.
require_own_packages() {
  local link
  for link in node_modules{,/cpu-features,/ssh2}; do
    if [[ -L $repository/$link ]]; then
      die "Cannot use $repository/$link: it is a symbolic link to $(readlink -f -- "$repository/$link"), and $1;" \
        "remove the link and run npm ci"
    fi
  done
}

# npm writes node_modules/.package-lock.json last, so an interrupted installation counts as missing.
# In a subshell, for its trap: Ctrl-C leaves no log behind.
install_packages() (
  local installed=$repository/node_modules/.package-lock.json
  if [[ -e $installed && ! $repository/package-lock.json -nt $installed ]]; then return; fi
  require_own_packages "npm would empty that"
  say "Installing the npm packages"
  local log
  log=$(mktemp)
  # shellcheck disable=SC2064
  trap "rm -f -- '$log'" EXIT
  # npm ends by itself at Ctrl-C, with errors that are no news then.
  trap 'exit 130' INT
  # NODE_ENV=production or an `omit=` in an .npmrc would leave out the toolchain.
  if ! (cd -- "$repository" && npm ci --include=dev --include=optional --no-audit --no-fund --loglevel=error) >"$log" 2>&1; then
    cat -- "$log" >&2
    die "Cannot install the npm packages: npm ci failed"
  fi
  # A lock file that was written while npm ran must not cause a second installation.
  touch -- "$installed"
)

# node_modules/.bin/bun is a placeholder where npm skipped Bun's install script (`ignore-scripts`, or a newer npm
# that wants each script approved); the package of the platform holds the same executable. The baseline packages
# are for processors without AVX2.
find_bun() {
  local wanted found candidate
  wanted=$(node -p 'require(process.argv[1]).devDependencies.bun' "$repository/package.json")
  for candidate in \
    "$repository/node_modules/.bin/bun" \
    "$repository"/node_modules/@oven/bun-linux-*/bin/bun \
    "$repository"/node_modules/@oven/bun-darwin-*/bin/bun; do
    [[ -x $candidate ]] || continue
    found=$("$candidate" --version 2>/dev/null) || continue
    if [[ $found == "$wanted" ]]; then
      # shellcheck disable=SC2034
      bun=$candidate
      return
    fi
  done
  die "Cannot find Bun $wanted below $repository/node_modules: no executable there runs on this machine ($(uname -sm))"
}

require_node
install_packages
find_bun
export PATH="$repository/node_modules/.bin:$PATH"
