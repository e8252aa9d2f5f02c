# shellcheck shell=bash
# The kernel's IPsec by PF_KEY: the backend by itself, and two plutos on it.

pfkey_case() { kernel_case "$1" pfkey; }

test_pfkey_many() { pfkey_case case_many; }
test_pfkey_overrun() { pfkey_case overrun; }
test_pfkey_two_channels() { pfkey_case two_channels; }
test_pfkey_algorithms() { pfkey_case algorithms; }
test_pfkey_what_is_missing() { pfkey_case what_is_missing; }
test_pfkey_errors() { pfkey_case errors; }
test_pfkey_one_spi_twice() { pfkey_case case_one_spi_twice; }
test_pfkey_limits() { pfkey_case case_limits; }
test_pfkey_byte_limits() { pfkey_case byte_limits; }
test_pfkey_idle_time() { pfkey_case idle_time; }
test_pfkey_policies() { pfkey_case case_policies; }
test_pfkey_event_overrun() { pfkey_case event_overrun; }
test_pfkey_move() { pfkey_case move; }
test_pfkey_left_over() { pfkey_case left_over; }

# ---- two plutos ----------------------------------------------------------------

# on_pfkey FUNCTION [ARGUMENT]...: a test of the other files, on this interface
on_pfkey() {
	interface=pfkeyv2
	"$@"
}

pfkey_tunnel() {
	need_gateways
	start_capture left right
	connect $left $right --tunnel
	ip -n left xfrm state | grep -qF 'auth-trunc hmac(sha512)' || fail "not SHA-512: $(ip -n left xfrm state)"
	ip -n left xfrm state | grep -q 'enc cbc(aes)' || fail "not AES-CBC: $(ip -n left xfrm state)"
	! ip -n left xfrm state | grep -q 'flag.*esn' || fail "ESN: $(ip -n left xfrm state)"
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
	ping_from right 10.1.0.1
	no_clear_packets
}

# What PF_KEY cannot do is not offered, and said when it is asked for.
pfkey_refused() {
	local said
	need_gateways
	for esp in aes_gcm128 aes128-sha2_256 aes128-sha2_512+sha2_256 chacha20_poly1305; do
		said=$(describe left $left $right --tunnel --esp $esp 2>&1) && fail "$esp was taken"
		grep -q 'kernel interface "pfkey"' <<<"$said" || fail "not said: $said"
	done
	said=$(describe left $left $right --tunnel --esn=yes 2>&1) && fail "ESN was taken"
	grep -q 'kernel interface "pfkey"' <<<"$said" || fail "not said: $said"
	connect $left $right --tunnel --esp aes_ctr256-sha2_384
	ip -n left xfrm state | grep -qF 'enc rfc3686(ctr(aes))' || fail "not AES-CTR: $(ip -n left xfrm state)"
	check_traffic 10.2.0.1 192.0.2.1 192.0.2.2
}

test_pfkey_tunnel() { on_pfkey pfkey_tunnel; }
test_pfkey_refused() { on_pfkey pfkey_refused; }
test_pfkey_transport() { on_pfkey test_transport; }
test_pfkey_ipv6() { on_pfkey test_ipv6; }
test_pfkey_transport_ipv6() { on_pfkey test_transport_ipv6; }
test_pfkey_ipv4_in_ipv6() { on_pfkey test_ipv4_in_ipv6; }
test_pfkey_ipv6_in_ipv4() { on_pfkey test_ipv6_in_ipv4; }
test_pfkey_terminate_and_delete() { on_pfkey test_terminate_and_delete; }
test_pfkey_soft_limit() { on_pfkey test_soft_limit; }
test_pfkey_leave_state() { on_pfkey test_leave_state; }
test_pfkey_restart() { on_pfkey test_restart; }
test_pfkey_nat() { on_pfkey test_nat; }
