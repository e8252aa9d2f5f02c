#include "fake_kernel.h"

#include "fake_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool fake_kernel_holds;
unsigned fake_kernel_queries;
unsigned fake_kernel_tells;
unsigned fake_kernel_channels = 1000;

struct waiting {
	struct waiting *next;
	struct ipsec_answer answer;
};

struct kernel_channel {
	struct kernel_channel_config config;
	struct waiting *first, **last;
	uint64_t pending;
	uint32_t spi;
	int fd;
};

struct kernel_channel *kernel_channel_open(
	struct kernel *kernel, const struct kernel_channel_config *config)
{
	(void)kernel;
	if (fake_kernel_channels == 0) {
		return NULL;
	}
	fake_kernel_channels--;
	struct kernel_channel *c = calloc(1, sizeof *c);
	c->config = *config;
	c->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	c->last = &c->first;
	return c;
}

static struct waiting *take(struct kernel_channel *c)
{
	struct waiting *w = c->first;
	if (w != NULL) {
		c->first = w->next;
		c->last = c->first == NULL ? &c->first : c->last;
		c->pending--;
	}
	return w;
}

void kernel_channel_close(struct kernel_channel *c)
{
	struct waiting *w;
	while ((w = take(c)) != NULL) {
		free(w);
	}
	close(c->fd);
	free(c);
}

int kernel_channel_fd(const struct kernel_channel *c)
{
	return c->fd;
}

static bool held(void)
{
	return __atomic_load_n(&fake_kernel_holds, __ATOMIC_ACQUIRE);
}

/* While it holds its answers it lets the shard spin: the test is short. */
bool kernel_channel_sleep(struct kernel_channel *c)
{
	return c->first == NULL;
}

/* The fake engine's Child SAs, by the numbers that it gives them: of all shards, as the kernel would. */
static void tell_all(struct kernel_channel *c, struct ipsec_answer *answer)
{
	answer->error = fake_kernel_tells == 0 ? EOPNOTSUPP : 0;
	for (uint64_t i = 0; i < 3ul * fake_kernel_tells * fake_children; i++) {
		uint64_t ike = 1000000 * (i % 3 + 1) + i / 3 / fake_children;
		for (unsigned direction = 0; direction < 2; direction++) {
			struct ipsec_counted counted = {
				.id = ike * 100 + i / 3 % fake_children, .direction = direction};
			counted.counters.bytes = (uint32_t)(counted.id + 50 * direction);
			counted.counters.packets = 1 + direction;
			c->config.on_counters(c->config.arg, answer->token, &counted);
		}
	}
}

void kernel_channel_poll(struct kernel_channel *c)
{
	struct waiting *w;
	while (!held() && (w = take(c)) != NULL) {
		if (w->answer.op == IPSEC_SA_QUERY_ALL) {
			tell_all(c, &w->answer);
		}
		c->config.on_answer(c->config.arg, &w->answer);
		free(w);
	}
}

void kernel_channel_submit(struct kernel_channel *c, const struct ipsec_request *request)
{
	struct waiting *w = calloc(1, sizeof *w);
	w->answer.op = request->op;
	w->answer.token = request->token;
	w->answer.counters.bytes = request->sa.spi;
	w->answer.counters.packets = request->sa.direction == IPSEC_INBOUND ? 1 : 2;
	*c->last = w;
	c->last = &w->next;
	c->pending++;
	if (request->op == IPSEC_SA_QUERY) {
		__atomic_add_fetch(&fake_kernel_queries, 1, __ATOMIC_RELAXED);
	}
}

bool kernel_prepare_socket(const struct kernel *kernel, int fd, uint8_t family, bool nat)
{
	(void)kernel, (void)fd, (void)family, (void)nat;
	return true;
}

uint16_t kernel_channel_allocate_cpi(struct kernel_channel *c)
{
	(void)c;
	return 0;
}

void kernel_channel_release_cpi(struct kernel_channel *c, uint16_t cpi)
{
	(void)c;
	(void)cpi;
}

uint32_t kernel_channel_allocate_spi(struct kernel_channel *c)
{
	return ++c->spi;
}

void kernel_channel_release_spi(struct kernel_channel *c, uint32_t spi)
{
	(void)c;
	(void)spi;
}

uint64_t kernel_channel_pending(const struct kernel_channel *c)
{
	return c->pending;
}

const char *kernel_name(const struct kernel *kernel)
{
	(void)kernel;
	return "fake";
}
