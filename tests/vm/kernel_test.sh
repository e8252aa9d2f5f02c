# shellcheck shell=bash
# The backend by itself, without IKE: the cases of xfrm_kernel_test.c.

kernel_case() { # CASE [BACKEND]
	"$PLUTONIUM_BUILD/tests/vm/${2-xfrm}_kernel_test" "$1"
}

test_kernel_many() { kernel_case case_many; }
test_kernel_overrun() { kernel_case overrun; }
test_kernel_algorithms() { kernel_case algorithms; }
test_kernel_errors() { kernel_case errors; }
test_kernel_one_spi_twice() { kernel_case case_one_spi_twice; }
test_kernel_limits() { kernel_case case_limits; }
test_kernel_policies() { kernel_case case_policies; }
test_kernel_event_overrun() { kernel_case event_overrun; }
test_kernel_move() { kernel_case move; }
test_kernel_move_fails() { kernel_case move_fails; }
test_kernel_bound() { kernel_case bound; }
