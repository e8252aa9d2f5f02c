# Sourced by ./quickstart: messages, packages, the build.

say() {
	printf '\n== %s\n' "$*"
}

die() {
	printf 'quickstart: %s\n' "$*" >&2
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
	# Services that come with a package stay off: tests start what they need in their namespaces.
	# shellcheck disable=SC2086
	RUNLEVEL=1 apt-get -q -y --no-install-recommends install $missing || die "apt-get install failed"
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
