#include "fake_kernel.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool fake_kernel_holds;
unsigned fake_kernel_queries;
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

void kernel_channel_poll(struct kernel_channel *c)
{
	struct waiting *w;
	while (!held() && (w = take(c)) != NULL) {
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
