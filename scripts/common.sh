# shellcheck shell=bash
# Sourced by ./quickstart: messages, packages, the build.

say() {
	printf '\n== %s\n' "$*"
}

die() {
	printf 'quickstart: %s\n' "$*" >&2
	exit 1
}

# The last line of a test run that could not begin.
no_tests() {
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

need_root() {
	[ "$(id -u)" -eq 0 ] || die "$1 must run as root (it makes network namespaces): sudo $0"
}

# packages_of USE...: the names under "#: USE" in packages.txt
packages_of() {
	awk -v uses=" $* " '
		/^#: / { wanted = index(uses, " " $2 " ") > 0; next }
		/^#/ || NF == 0 { next }
		wanted { print $1 }' "$top/packages.txt"
}

missing_packages() {
	local package
	packages_of "$@" | while read -r package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			printf '%s\n' "$package"
	done
}

# install_packages USE...: touches neither apt nor the network when nothing is missing
install_packages() {
	local missing
	command -v dpkg-query >/dev/null || die "this is not a Debian system: install what packages.txt names"
	missing=$(missing_packages "$@" | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	[ "$(id -u)" -eq 0 ] || die "missing packages, run as root or install them: $missing"
	say "installing: $missing"
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update || die "apt-get update failed"
	keep_services_off
	# shellcheck disable=SC2086
	apt-get -q -y --no-install-recommends install $missing || die "apt-get install failed"
	[ -z "$policy" ] || rm -f "$policy"
}

# Tests start what they need in namespaces of their own: no IKE daemon is to begin to serve this machine by itself.
policy=
keep_services_off() {
	[ ! -e /usr/sbin/policy-rc.d ] || return 0
	policy=/usr/sbin/policy-rc.d
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
}

# build DIR [meson options]: configures once, then compiles what changed
build() {
	local dir=$1
	shift
	if [ ! -f "$dir/build.ninja" ]; then
		say "configuring $dir"
		meson setup "$dir" "$top" "$@" || die "meson setup failed"
	fi
	say "building $dir"
	ninja -C "$dir" || die "the build failed"
}
