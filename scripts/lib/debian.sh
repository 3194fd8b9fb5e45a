# shellcheck shell=bash
# Sourced after toolchain.sh: installs Debian packages where that is possible.

# The servers and the browser that tests and the demo start, and what makes and checks packages, as `package:file that it brings`.
debian_servers=(
  "postgresql:/usr/lib/postgresql/*/bin/postgres"
  "barman:/usr/bin/barman"
  "prometheus:/usr/bin/prometheus"
  "openssl:/usr/bin/openssl"
  "openssh-server:/usr/sbin/sshd"
  "chromium:/usr/bin/chromium"
  "rpm:/usr/bin/rpmbuild"
  "lintian:/usr/bin/lintian"
  "rpmlint:/usr/bin/rpmlint"
  "debootstrap:/usr/sbin/debootstrap"
  "faketime:/usr/lib/*/faketime/libfaketime.so.1"
  "strace:/usr/bin/strace"
)

# install_servers [PACKAGE...]: installs those of the packages (default: all) that are missing. Prints why it cannot,
# and succeeds all the same: the caller looks at what is there.
install_servers() {
  local row wanted=" $* " missing=()
  for row in "${debian_servers[@]}"; do
    [[ $wanted == "  " || $wanted == *" ${row%%:*} "* ]] || continue
    compgen -G "${row#*:}" >/dev/null || missing+=("${row%%:*}")
  done
  ((${#missing[@]} > 0)) || return 0
  if ! command -v apt-get >/dev/null; then
    say "Cannot install ${missing[*]}: this is not a Debian system"
  elif [[ $(id -u) != 0 ]]; then
    say "Cannot install ${missing[*]} as an ordinary user; as root: apt-get install ${missing[*]}"
  else
    say "Installing the Debian packages ${missing[*]}"
    (install_debian "${missing[@]}")
  fi
}

# In a subshell, for its trap. Debian starts the services that it installs unless policy-rc.d forbids it; ours
# need none of them.
install_debian() {
  local policy=/usr/sbin/policy-rc.d log
  log=$(mktemp)
  if [[ ! -e $policy ]]; then
    # shellcheck disable=SC2064
    trap "rm -f -- '$log' '$policy'" EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 -- "$policy"
  else
    # shellcheck disable=SC2064
    trap "rm -f -- '$log'" EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  local install=(apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "$@")
  # The package lists of a fresh machine are missing or too old to be of use; those of most others will do.
  if "${install[@]}" >"$log" 2>&1 </dev/null; then return; fi
  if apt-get update -q >>"$log" 2>&1 </dev/null && "${install[@]}" >>"$log" 2>&1 </dev/null; then return; fi
  tail -n 15 -- "$log" >&2
  say "Cannot install $*: apt-get failed"
}
