/* Key exchange in lanes takes the same way for all secrets: each run is stepped through, one
 * instruction after the other, and the instructions' addresses and the registers that make up the
 * addresses of their memory accesses are compared. (valgrind, which poisoned secrets would need,
 * knows no AVX-512.) Instructions whose time depends on their operands must not be met at all. */
#include "job_test.h"

#include <stdio.h>
#include <signal.h>
#include <unistd.h>

#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <openssl/rand.h>

#include "ecp_ifma.h"
#include "x25519_ifma.h"

extern const char __executable_start[];

/* What objdump tells of an instruction of this program. */
struct instruction {
	bool known, variable_time;
	uint8_t base, index; /* registers of its memory operand: 1 + place in register_names */
};

static struct instruction *program;
static size_t program_size;

static const char *const register_names[] = {"%rax", "%rbx", "%rcx", "%rdx", "%rsi", "%rdi", "%rbp",
	"%rsp", "%r8", "%r9", "%r10", "%r11", "%r12", "%r13", "%r14", "%r15"};
enum { REGISTERS = sizeof(register_names) / sizeof(register_names[0]) };

static uint64_t register_value(const struct user_regs_struct *r, unsigned which)
{
	const uint64_t values[REGISTERS] = {r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rbp,
		r->rsp, r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15};

	return values[which];
}

static uint8_t register_of(const char *text)
{
	for (unsigned i = 0; i < REGISTERS; i++) {
		size_t len = strlen(register_names[i]);

		/* no shorter or longer name: %r8, %r8d */
		if (strncmp(text, register_names[i], len) == 0 && strchr(",)", text[len]))
			return (uint8_t)(i + 1);
	}
	return 0;
}

static void parse_operand(struct instruction *i, const char *text)
{
	const char *open = strchr(text, '('), *comma;

	/* addresses that are only computed are no accesses */
	if (!open || strncmp(text, "lea", 3) == 0 || strncmp(text, "nop", 3) == 0)
		return;
	comma = strchr(open, ',');
	i->base = register_of(open + 1);
	if (comma && comma < strchr(open, ')'))
		i->index = register_of(comma + 1);
}

static bool has_variable_time(const char *text)
{
	static const char *const names[] = {"div", "idiv", "vdiv", "vsqrt", "vpgather", "vpscatter",
		"vgather", "vscatter", "vpcompress", "vpexpand", "pdep", "pext"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strncmp(text, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

/* Lines are "  1234:\tvpaddq (%rax),%zmm1,%zmm2". */
static int read_program(void **state)
{
	FILE *dump;
	char line[512];
	size_t lines = 0;

	(void)state;
	if (!cpu_has_lanes())
		return 0;
	program_size = 64 << 20;
	program = calloc(program_size, sizeof(*program));
	snprintf(line, sizeof(line), "objdump -d --no-show-raw-insn /proc/%d/exe", (int)getpid());
	dump = popen(line, "r");
	if (!program || !dump)
		return -1;
	while (fgets(line, sizeof(line), dump)) {
		char *end, *text;
		size_t at = strtoull(line, &end, 16);

		if (end == line || end[0] != ':' || end[1] != '\t' || at >= program_size)
			continue;
		text = end + 2;
		program[at].known = true;
		program[at].variable_time = has_variable_time(text);
		parse_operand(&program[at], text);
		lines++;
	}
	pclose(dump);
	if (lines == 0)
		print_message("no objdump\n");
	return 0;
}

static int forget_program(void **state)
{
	(void)state;
	free(program);
	return 0;
}

/* ---- runs ----------------------------------------------------------------- */

typedef void work(const uint8_t *secrets);

enum { SECRETS = 2 * X25519_LANES * 32 };

struct trace {
	uint64_t hash, steps, own_steps;
};

/* A step takes 30 us on a virtual machine, and a run has some 100,000: the short test stops after
 * the first of them, in the main loop. */
static uint64_t steps_max(void)
{
	return getenv("PLUTONIUM_LONG_TESTS") ? UINT64_MAX : 30000;
}

static void end_child(pid_t child)
{
	int status;

	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
}

static void mix(struct trace *t, uint64_t value)
{
	t->hash = (t->hash ^ value) * 0x9e3779b97f4a7c15ull;
	t->hash ^= t->hash >> 29;
}

static void take_step(struct trace *t, const struct user_regs_struct *r)
{
	uint64_t at = r->rip - (uint64_t)(uintptr_t)__executable_start;

	t->steps++;
	mix(t, r->rip);
	if (at >= program_size || !program[at].known)
		return;
	t->own_steps++;
	if (program[at].variable_time)
		fail_msg("an instruction of variable time at %#lx", (unsigned long)at);
	if (program[at].base)
		mix(t, register_value(r, program[at].base - 1u));
	if (program[at].index)
		mix(t, register_value(r, program[at].index - 1u));
}

/* All processes are copies of this one, so that addresses are the same. */
static struct trace trace_run(work *run, const uint8_t secrets[SECRETS])
{
	struct trace t = {0};
	uint8_t copy[SECRETS];
	struct user_regs_struct r;
	pid_t child;
	int status;

	memcpy(copy, secrets, sizeof(copy));
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(77);
		raise(SIGSTOP);
		run(copy);
		_exit(0);
	}
	for (;;) {
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status))
			break;
		assert_true(WIFSTOPPED(status));
		assert_int_equal(ptrace(PTRACE_GETREGS, child, NULL, &r), 0);
		take_step(&t, &r);
		if (t.steps == steps_max()) {
			end_child(child);
			return t;
		}
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
	}
	if (WEXITSTATUS(status) == 77) {
		print_message("nothing may be traced here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return t;
}

static void need_tracing(void)
{
	bool known = false;

	if (!cpu_has_lanes())
		skip();
	for (size_t i = 0; i < program_size && !known; i++)
		known = program[i].known;
	if (!known)
		skip();
}

static bool same_way(work *run, const uint8_t first[SECRETS], const uint8_t second[SECRETS])
{
	struct trace a = trace_run(run, first), b = trace_run(run, second);

	assert_true(a.own_steps > 0);
	return a.hash == b.hash && a.steps == b.steps;
}

/* ---- what the tracer must see ---------------------------------------------- */

static volatile uint8_t sink;
static volatile uint8_t lines[256 * 64];

static void branch_on_a_bit(const uint8_t *secrets)
{
	if (secrets[0] & 1)
		sink = 1;
}

static void index_by_a_byte(const uint8_t *secrets)
{
	sink = lines[secrets[0] * 64];
}

static void no_branch(const uint8_t *secrets)
{
	sink = (uint8_t)(-(secrets[0] & 1) & secrets[1]);
}

static void tracer_sees_leaks(void **state)
{
	uint8_t first[SECRETS] = {0}, second[SECRETS] = {1};

	(void)state;
	need_tracing();
	assert_true(same_way(no_branch, first, second));
	assert_true(same_way(branch_on_a_bit, first, first));
	assert_false(same_way(branch_on_a_bit, first, second));
	assert_false(same_way(index_by_a_byte, first, second));
}

/* ---- key exchange ----------------------------------------------------------------- */

static uint8_t results[X25519_LANES][2 * ECP_LEN_MAX];

static void lanes_of(const uint8_t *secrets, struct x25519_lane lane[X25519_LANES])
{
	for (size_t i = 0; i < X25519_LANES; i++)
		lane[i] = (struct x25519_lane){
			secrets + i * 32, secrets + (X25519_LANES + i) * 32, results[i]};
}

static void ladder(const uint8_t *secrets)
{
	struct x25519_lane lane[X25519_LANES];

	lanes_of(secrets, lane);
	x25519_ifma_multiply(lane, X25519_LANES);
}

static void base(const uint8_t *secrets)
{
	struct x25519_lane lane[X25519_LANES];

	lanes_of(secrets, lane);
	x25519_ifma_multiply_base(lane, X25519_LANES);
}

/* Scalars of P-384's length may be past P-256's order: what they are does not matter here. */
static void ecp_lanes_of(
	const struct ecp_ifma *curve, const uint8_t *secrets, struct ecp_lane lane[ECP_LANES])
{
	for (size_t i = 0; i < ECP_LANES; i++)
		lane[i] = (struct ecp_lane){secrets + i * curve->len, curve->generator, results[i],
			results[i] + curve->len};
}

static void ecp_256(const uint8_t *secrets)
{
	struct ecp_lane lane[ECP_LANES];

	ecp_lanes_of(&ecp_ifma_256, secrets, lane);
	ecp_ifma_256.multiply(lane, ECP_LANES);
}

static void ecp_256_base(const uint8_t *secrets)
{
	struct ecp_lane lane[ECP_LANES];

	ecp_lanes_of(&ecp_ifma_256, secrets, lane);
	ecp_ifma_256.multiply_base(lane, ECP_LANES);
}

static void ecp_384(const uint8_t *secrets)
{
	struct ecp_lane lane[ECP_LANES];

	ecp_lanes_of(&ecp_ifma_384, secrets, lane);
	ecp_ifma_384.multiply(lane, ECP_LANES);
}

static void ecp_384_base(const uint8_t *secrets)
{
	struct ecp_lane lane[ECP_LANES];

	ecp_lanes_of(&ecp_ifma_384, secrets, lane);
	ecp_ifma_384.multiply_base(lane, ECP_LANES);
}

static void expect_same_way(work *run)
{
	uint8_t first[SECRETS], second[SECRETS];

	need_tracing();
	/* what is made once is made before */
	assert_int_equal(RAND_bytes(first, sizeof(first)), 1);
	run(first);
	/* the second: among random scalars the smallest and the largest; points of small order */
	assert_int_equal(RAND_bytes(second, sizeof(second)), 1);
	memset(second, 0, 32);
	memset(second + 32, 0xff, 32);
	memset(second + 64, 0x88, 32);
	memset(second + X25519_LANES * 32, 0, 64);
	assert_true(same_way(run, first, second));
}

static void x25519_shared_secrets(void **state)
{
	(void)state;
	expect_same_way(ladder);
}

static void x25519_key_pairs(void **state)
{
	(void)state;
	expect_same_way(base);
}

static void ecp_shared_secrets(void **state)
{
	(void)state;
	expect_same_way(ecp_256);
	expect_same_way(ecp_384);
}

static void ecp_key_pairs(void **state)
{
	(void)state;
	expect_same_way(ecp_256_base);
	expect_same_way(ecp_384_base);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(tracer_sees_leaks),
		cmocka_unit_test(x25519_shared_secrets),
		cmocka_unit_test(x25519_key_pairs),
		cmocka_unit_test(ecp_shared_secrets),
		cmocka_unit_test(ecp_key_pairs),
	};

	return cmocka_run_group_tests_name("lanes trace", tests, read_program, forget_program);
}
