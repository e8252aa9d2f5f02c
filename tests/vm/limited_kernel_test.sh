# shellcheck shell=bash
# Kernels that lack something: their modules are taken away and may not come back.

# without ABSENT NAME...: modules; ABSENT (of /proc/crypto or /proc/modules) is then gone
without() {
	local name
	ip netns list | grep -q '^left\b' || make_namespaces
	stop_gateways
	for name in "${@:2}"; do
		echo "install $name /bin/false"
	done >/etc/modprobe.d/plutonium-test.conf
	# SAs are freed a while after they are deleted.
	until_true 10 modprobe -r "${@:2}" || true
	! grep -q "$1" /proc/crypto /proc/modules || fail "$1 is still there: $(cat /proc/modules)"
}

with_all() {
	stop_gateways
	rm -f /etc/modprobe.d/plutonium-test.conf
	modprobe -a aesni_intel gcm chacha20poly1305 esp4 esp6
}

test_kernel_without_gcm() {
	trap with_all EXIT
	without 'gcm(aes)' aesni_intel gcm chacha20poly1305
	connect $left $right --tunnel
	cat "$work/left/pluto.log"
	[ "$(grep -c 'lacks:.* AES_GCM_16 CHACHA20_POLY1305' "$work/left/pluto.log")" = 1 ] || fail "$(cat "$work/left/pluto.log")"
	ip -n left xfrm state | grep -qF 'cbc(aes)' || fail "$(ip -n left xfrm state)"
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
}

test_kernel_without_esp() {
	trap with_all EXIT
	without '^esp4' esp4 esp6
	start_pluto left
	cat "$work/left/pluto.log"
	[ "$(grep -c 'the kernel has no ESP' "$work/left/pluto.log")" = 1 ] || fail "$(cat "$work/left/pluto.log")"
	! describe left $left $right --tunnel >"$work/said" || fail "added: $(cat "$work/said")"
	cat "$work/said"
	grep -qi 'kernel' "$work/said" || fail "not the reason: $(cat "$work/said")"
}
