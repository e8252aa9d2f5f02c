#include "steering.h"

#include "base/bytes.h"
#include <errno.h>
#include <linux/filter.h>
#include <sys/random.h>
#include <sys/socket.h>

/* Offsets in the IKE header (RFC 7296, section 3.1; RFC 2408, section 3.1). */
enum { SPI_I = 0, SPI_R = 8, VERSION = 17, FLAGS = 19 };
#define FLAG_INITIATOR 0x08
#define VERSION_IKEV1  1

bool steering_init(struct steering *steering, unsigned shards)
{
	uint32_t keys[5];
	if (getrandom(keys, sizeof keys, 0) != (ssize_t)sizeof keys) {
		return false;
	}
	*steering = (struct steering){
		.shards = shards,
		.add = {keys[0], keys[1]},
		.multiply = {keys[2] | 1, keys[3] | 1, keys[4] | 1},
	};
	return true;
}

/* Only operations that classic BPF has, on 32 bits. */
static unsigned hash_halves(const struct steering *steering, uint32_t high, uint32_t low)
{
	uint32_t h = (high ^ steering->add[0]) * steering->multiply[0];
	h ^= h >> 15;
	h = (h + (low ^ steering->add[1])) * steering->multiply[1];
	h ^= h >> 13;
	h *= steering->multiply[2];
	h ^= h >> 16;
	return h % steering->shards;
}

unsigned steering_of_spi(const struct steering *steering, uint64_t spi)
{
	return hash_halves(steering, (uint32_t)(spi >> 32), (uint32_t)spi);
}

/* `from_peer`: which side's flag the Initiator flag is. */
static unsigned owner(const struct steering *steering, bool nat_port, const uint8_t *payload,
	size_t len, bool from_peer)
{
	struct reader r = reader_of(bytes_of(payload, len));
	if (nat_port && read_u32(&r) != 0) {
		return STEERING_ANY;
	}
	struct bytes header = read_bytes(&r, IKE_HEADER_LEN);
	if (r.failed) {
		return STEERING_ANY;
	}
	r = reader_of(header);
	uint64_t spi_i = read_u64(&r), spi_r = read_u64(&r);
	bool ikev1 = header.data[VERSION] >> 4 == VERSION_IKEV1;
	bool flag = (header.data[FLAGS] & FLAG_INITIATOR) != 0;
	bool peer_began = from_peer ? flag : !flag;
	if (ikev1 || !peer_began || spi_r == 0) {
		return steering_of_spi(steering, spi_i);
	}
	return steering_of_spi(steering, spi_r);
}

unsigned steering_owner(
	const struct steering *steering, bool nat_port, const uint8_t *payload, size_t len)
{
	return owner(steering, nat_port, payload, len, true);
}

unsigned steering_owner_of_sent(
	const struct steering *steering, bool nat_port, const uint8_t *payload, size_t len)
{
	return owner(steering, nat_port, payload, len, false);
}

/* ---- the same as a program for the kernel ------------------------------------ */

enum label { NEXT, INITIATOR_SPI, HASH, ANY, LABELS };

/* A program under construction: the jump fields of `code` hold labels until program_link. */
struct program {
	struct sock_filter code[64];
	unsigned short len;
	unsigned short at[LABELS];
};

static void emit(struct program *p, uint16_t op, uint32_t k)
{
	p->code[p->len++] = (struct sock_filter){.code = op, .k = k};
}

static void emit_jump(struct program *p, uint16_t op, uint32_t k, enum label yes, enum label no)
{
	p->code[p->len++] = (struct sock_filter){
		.code = BPF_JMP | op | BPF_K, .jt = (uint8_t)yes, .jf = (uint8_t)no, .k = k};
}

static void place(struct program *p, enum label label)
{
	p->at[label] = p->len;
}

static uint8_t distance(const struct program *p, unsigned short from, uint8_t label)
{
	return label == NEXT ? 0 : (uint8_t)(p->at[label] - from - 1);
}

static void program_link(struct program *p)
{
	for (unsigned short i = 0; i < p->len; i++) {
		struct sock_filter *f = &p->code[i];
		if (BPF_CLASS(f->code) == BPF_JMP) {
			f->jt = distance(p, i, f->jt);
			f->jf = distance(p, i, f->jf);
		}
	}
}

/* M[0] and M[1] take the halves of the SPI at `offset`. */
static void emit_load_spi(struct program *p, uint32_t offset)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS, offset);
	emit(p, BPF_ST, 0);
	emit(p, BPF_LD | BPF_W | BPF_ABS, offset + 4);
	emit(p, BPF_ST, 1);
}

/* A ^= A >> bits */
static void emit_fold(struct program *p, uint32_t bits)
{
	emit(p, BPF_MISC | BPF_TAX, 0);
	emit(p, BPF_ALU | BPF_RSH | BPF_K, bits);
	emit(p, BPF_ALU | BPF_XOR | BPF_X, 0);
}

static void emit_hash(struct program *p, const struct steering *s)
{
	emit(p, BPF_LD | BPF_MEM, 0);
	emit(p, BPF_ALU | BPF_XOR | BPF_K, s->add[0]);
	emit(p, BPF_ALU | BPF_MUL | BPF_K, s->multiply[0]);
	emit_fold(p, 15);
	emit(p, BPF_ST, 0);
	emit(p, BPF_LD | BPF_MEM, 1);
	emit(p, BPF_ALU | BPF_XOR | BPF_K, s->add[1]);
	emit(p, BPF_LDX | BPF_MEM, 0);
	emit(p, BPF_ALU | BPF_ADD | BPF_X, 0);
	emit(p, BPF_ALU | BPF_MUL | BPF_K, s->multiply[1]);
	emit_fold(p, 13);
	emit(p, BPF_ALU | BPF_MUL | BPF_K, s->multiply[2]);
	emit_fold(p, 16);
	emit(p, BPF_ALU | BPF_MOD | BPF_K, s->shards);
	emit(p, BPF_RET | BPF_A, 0);
}

/* The kernel starts it at the UDP payload. An index past the group's end makes the kernel choose by
 * addresses and ports: a flood of rubbish spreads. */
static void program_build(struct program *p, const struct steering *s, bool nat_port)
{
	uint32_t base = nat_port ? ESP_MARKER_LEN : 0;
	*p = (struct program){0};
	emit(p, BPF_LD | BPF_W | BPF_LEN, 0);
	emit_jump(p, BPF_JGE, base + IKE_HEADER_LEN, NEXT, ANY);
	if (nat_port) {
		emit(p, BPF_LD | BPF_W | BPF_ABS, 0);
		emit_jump(p, BPF_JEQ, 0, NEXT, ANY);
	}
	emit(p, BPF_LD | BPF_B | BPF_ABS, base + VERSION);
	emit(p, BPF_ALU | BPF_RSH | BPF_K, 4);
	emit_jump(p, BPF_JEQ, VERSION_IKEV1, INITIATOR_SPI, NEXT);
	emit(p, BPF_LD | BPF_B | BPF_ABS, base + FLAGS);
	emit_jump(p, BPF_JSET, FLAG_INITIATOR, NEXT, INITIATOR_SPI);
	emit_load_spi(p, base + SPI_R);
	emit(p, BPF_LDX | BPF_MEM, 0);
	emit(p, BPF_ALU | BPF_OR | BPF_X, 0);
	emit_jump(p, BPF_JEQ, 0, INITIATOR_SPI, HASH);
	place(p, INITIATOR_SPI);
	emit_load_spi(p, base + SPI_I);
	place(p, HASH);
	emit_hash(p, s);
	place(p, ANY);
	emit(p, BPF_RET | BPF_K, UINT32_MAX);
	program_link(p);
}

bool steering_attach(const struct steering *steering, bool nat_port, int fd)
{
	struct program p;
	program_build(&p, steering, nat_port);
	struct sock_fprog program = {.len = p.len, .filter = p.code};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0;
}
