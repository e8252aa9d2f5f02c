#!/bin/bash
# vm.sh BUILDDIR RESULTS [TEST]...: the tests that need a kernel with ESP, in two virtual machines that are booted once for
# all of them. Without KVM: QEMU's emulation and Debian's kernel, which is unpacked under BUILDDIR and not installed. The guest
# sees this machine's files read-only, with a layer in its memory above them, so that it runs what was built here.
#
#   vm.sh BUILDDIR RESULTS --list       the tests' names
#   vm.sh BUILDDIR RESULTS tunnel nat   only these
#   vm.sh BUILDDIR RESULTS --shell CMD  runs CMD (a shell's text) in the guest instead
#
# Output: TAP, in RESULTS/vm.tap too; the guests' kernel logs in RESULTS/vm-kernel-N.log; files that failed tests leave in
# RESULTS/vm-logs. A machine that cannot run it answers with one skipped case that says why.
set -u -o pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "$1") results=$2
shift 2
cache=$build/vm libreswan=$build/vm-libreswan certificates=$build/vm-certificates
memory_mb=1536 limit_s=${VM_LIMIT_S:-580}
mkdir -p "$results"
results=$(readlink -f "$results")

skip() {
	printf '1..1\nok 1 - vm # SKIP %s\n' "$*" | tee "$results/vm.tap"
	exit 0
}

die() {
	echo "vm.sh: $*" >&2
	exit 1
}

if [ "${1-}" = --list ]; then
	sed -n 's/^test_\([a-z0-9_]*\)().*/\1/p' "$here"/*_test.sh
	exit 0
fi

# ---- the kernel, unpacked ------------------------------------------------------

# Fields of the boot protocol's header in a bzImage.
field() { # FILE OFFSET SIZE
	od -An -tu"$3" -j"$2" -N"$3" "$1" | tr -d ' '
}

# The guest would unpack its kernel under emulation, which takes seconds: done here.
unpack_kernel() { # BZIMAGE OUT
	local offset length
	offset=$((($(field "$1" 497 1) + 1) * 512 + $(field "$1" 584 4)))
	length=$(field "$1" 588 4)
	tail -c +$((offset + 1)) "$1" | head -c "$length" >"$2.packed"
	# Behind the compressed stream are 4 bytes with its length.
	if [ "$(od -An -tx1 -N4 "$2.packed" | tr -d ' ')" = fd377a58 ]; then
		head -c -4 "$2.packed" | xz -dc --single-stream >"$2" || return 1
	else
		cp "$1" "$2"
	fi
	rm -f "$2.packed"
}

fetch_kernel() {
	local package modules='./lib/modules/*'
	package=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image/ { print $2; exit }')
	[ -n "$package" ] || return 1
	rm -rf "$cache.new" && mkdir -p "$cache.new" || return 1
	(cd "$cache.new" && apt-get -qq -o APT::Sandbox::User=root download "$package" >&2) || return 1
	dpkg-deb --fsys-tarfile "$cache.new"/*.deb | tar -x -C "$cache.new" --wildcards './boot/vmlinuz-*' \
		"$modules/modules.*" "$modules/kernel/net/*" "$modules/kernel/crypto/*" "$modules/kernel/lib/*" \
		"$modules/kernel/arch/x86/crypto/*" "$modules/kernel/drivers/virtio/*" "$modules/kernel/drivers/char/*" \
		"$modules/kernel/drivers/net/veth.ko" "$modules/kernel/drivers/net/tun.ko" "$modules/kernel/fs/9p/*" \
		"$modules/kernel/fs/netfs/*" "$modules/kernel/fs/fscache/*" "$modules/kernel/fs/overlayfs/*" || return 1
	rm -f "$cache.new"/*.deb
	ls "$cache.new/lib/modules" >"$cache.new/version"
	depmod -b "$cache.new" "$(cat "$cache.new/version")" 2>/dev/null
	unpack_kernel "$cache.new"/boot/vmlinuz-* "$cache.new/kernel" || return 1
	make_initrd "$cache.new" || return 1
	rm -rf "$cache" && mv "$cache.new" "$cache"
}

# The first root: busybox and the modules by which the guest reaches this machine's files.
make_initrd() { # DIR
	local root=$1/initrd.root module file n=100
	mkdir -p "$root"/{bin,proc,dev,host,memory,root,modules}
	cp "$(command -v busybox)" "$root/bin/busybox" || return 1
	for module in virtio_pci 9pnet_virtio 9p overlay virtio_console virtio-rng; do
		modprobe -d "$1" -S "$(cat "$1/version")" --show-depends "$module" || return 1
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
		cp "$file" "$root/modules/$n-${file##*/}"
		n=$((n + 1))
	done
	cat >"$root/init" <<-'END'
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		export PATH=/bin
		mount -t proc proc /proc
		mount -t devtmpfs dev /dev
		for module in /modules/*; do insmod "$module"; done
		mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro,cache=loose host /host
		mount -t tmpfs -o mode=755 memory /memory
		mkdir /memory/upper /memory/work
		mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work root /root
		mount --move /dev /root/dev
		umount /proc
		exec switch_root /root "$PLUTONIUM_GUEST"
	END
	chmod +x "$root/init"
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$1/initrd" && rm -rf "$root"
}

# ---- what the tests use besides ---------------------------------------------------

# libreswan's package conflicts with strongSwan's: it is unpacked, not installed. Without it, its tests are skipped.
fetch_libreswan() {
	[ ! -e "$libreswan/usr/libexec/ipsec/pluto" ] || return 0
	rm -rf "$libreswan.new" && mkdir -p "$libreswan.new"
	(cd "$libreswan.new" && apt-get -qq -o APT::Sandbox::User=root download libreswan >&2 &&
		dpkg-deb -x libreswan_*.deb . && rm libreswan_*.deb) && rm -rf "$libreswan" && mv "$libreswan.new" "$libreswan"
}

# An NSS database with an authority and a certificate for each side, all with ECDSA. Made here, where it takes no time.
make_certificates() {
	local db=sql:$certificates.new name
	[ ! -d "$certificates" ] || return 0
	rm -rf "$certificates.new" && mkdir -p "$certificates.new" || return 1
	head -c 64 /dev/urandom >"$certificates.new/noise"
	{
		certutil -N -d "$db" --empty-password
		# yes, an authority; of any length; yes, critical
		printf 'y\n\ny\n' | certutil -S -d "$db" -z "$certificates.new/noise" -n ca -s CN=ca -x -t CT,C,C -m 1 -v 120 \
			-k ec -q nistp256 -2
		for name in left right; do
			certutil -S -d "$db" -z "$certificates.new/noise" -n "$name" -s "CN=$name" -c ca -t ,, -m "${#name}" \
				-v 120 -k ec -q nistp256 --extSAN "dns:$name.cert" || return 1
		done
	} >/dev/null 2>&1 && rm "$certificates.new/noise" && mv "$certificates.new" "$certificates"
}

[ "$(uname -m)" = x86_64 ] || skip "the virtual machine is an x86-64 one"
for program in qemu-system-x86_64 busybox cpio xz modprobe dpkg-deb; do
	command -v "$program" >/dev/null || skip "no $program here"
done
[ -e "$cache/initrd" ] || fetch_kernel || skip "Debian's kernel cannot be fetched (apt-get download linux-image-amd64)"
fetch_libreswan || true
make_certificates || true

# ---- the guests ------------------------------------------------------------------

# Only this folder is written through.
share=$(mktemp -d /tmp/plutonium-vm-XXXXXX)
trap 'rm -rf "$share"' EXIT
mkdir "$share/claims"
mkfifo "$share/never"

# Named tests run in one guest; all of them in two on two CPUs, which take the files of tests in turn.
guests=(1) cpus=2
if [ $# -eq 0 ] && [ "$(nproc)" -ge 2 ]; then
	guests=(1 2) cpus=1
fi

write_command() { # GUEST [ARGUMENT]...
	mkdir "$share/$1"
	{
		printf 'export PLUTONIUM_BUILD=%q PLUTONIUM_LOGS=%q PLUTONIUM_CLAIMS=%q\n' "$build" "$share/logs" "$share/claims"
		printf 'export PLUTONIUM_LIBRESWAN=%q PLUTONIUM_CERTIFICATES=%q\n' "$libreswan" "$certificates"
		if [ "${2-}" = --shell ]; then
			printf 'cd %q\n%s\n' "$here" "${3-}"
		else
			printf 'exec bash %q' "$here/run_tests.sh"
			[ $# -eq 1 ] || printf ' %q' "${@:2}"
			echo
		fi
	} >"$share/$1/command"
}

boot() { # GUEST
	# Whatever ends this script ends `timeout`, and what ends that ends the guest, too. The console's input must not end: QEMU
	# would stop reading what the guest says.
	setpriv --pdeathsig KILL timeout -k 5 "$limit_s" setpriv --pdeathsig KILL qemu-system-x86_64 -accel tcg,thread=multi -cpu max,-la57 \
		-M q35 -smp "$cpus" -m "$memory_mb" -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$cache/kernel" -initrd "$cache/initrd" \
		-append "PLUTONIUM_GUEST=$here/guest_init.sh PLUTONIUM_SHARE=$share PLUTONIUM_NUMBER=$1 PLUTONIUM_MODULES=$cache/lib/modules panic=-1 console=ttyS0 mitigations=off tsc=reliable norandmaps cryptomgr.notests" \
		-chardev "file,id=log,path=$results/vm-kernel-$1.log" -serial chardev:log \
		-device virtio-serial -chardev stdio,id=out,signal=off -device virtserialport,chardev=out \
		-device virtio-rng \
		-virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
		-virtfs "local,path=$share,mount_tag=share,security_model=none" <>"$share/never"
	echo $? >"$share/$1/qemu"
}

# One list of cases out of all guests', line by line as they come.
merge() {
	[ "${1-}" != --shell ] || exec cat
	local line number=0
	while IFS= read -r line; do
		case $line in
		1..*) continue ;;
		'ok '* | 'not ok '*)
			number=$((number + 1))
			line="${line%%ok *}ok $number ${line#*ok * }"
			;;
		esac
		printf '%s\n' "$line"
	done
	echo "1..$number"
}

for guest in "${guests[@]}"; do
	write_command "$guest" "$@"
	: >"$results/vm-kernel-$guest.log"
done
{
	for guest in "${guests[@]}"; do
		boot "$guest" &
	done
	wait
} | merge "$@" | tee "$results/vm.tap"

if [ -d "$share/logs" ]; then
	rm -rf "$results/vm-logs"
	cp -r "$share/logs" "$results/vm-logs"
fi
status=0
for guest in "${guests[@]}"; do
	if [ ! -s "$share/$guest/status" ]; then
		tail -n 15 "$results/vm-kernel-$guest.log" >&2
		qemu=$(cat "$share/$guest/qemu")
		die "guest $guest gave no result (QEMU ended with $qemu$([ "$qemu" != 124 ] || echo ": over its time of $limit_s s"))"
	fi
	[ "$(cat "$share/$guest/status")" = 0 ] || status=$(cat "$share/$guest/status")
done
exit "$status"
