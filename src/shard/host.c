/* What an engine asks of its host (ike/engine.h), answered by a shard. */
#include "hand_over.h"
#include "shard_set.h"
#include "news.h"
#include "updown.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define HALF_OPEN_READ_MS 3

static uint64_t host_now_ms(struct ike_host *host)
{
	return shard_of_host(host)->now_ms;
}

static uint64_t host_wall_s(struct ike_host *host)
{
	(void)host;
	return (uint64_t)time(NULL);
}

/* ---- random bytes ------------------------------------------------------------ */

static void fill_random(void *out, size_t len)
{
	uint8_t *at = out;
	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		} else if (n < 0 && errno != EINTR) {
			/* No key may ever be made without them. */
			log_line(LOG_LINE_ERROR, "getrandom failed: %s", strerror(errno));
			abort();
		}
	}
}

static void host_random(struct ike_host *host, void *out, size_t len)
{
	struct random_stock *stock = &shard_of_host(host)->random;
	if (len > sizeof stock->bytes / 4) {
		fill_random(out, len);
		return;
	}
	if (stock->left < len) {
		fill_random(stock->bytes, sizeof stock->bytes);
		stock->left = sizeof stock->bytes;
	}
	uint8_t *from = stock->bytes + (stock->left - len);
	memcpy(out, from, len);
	secret_wipe(from, len);
	stock->left -= len;
}

/* ---- datagrams, timers, jobs --------------------------------------------------- */

static bool host_owns_spi(struct ike_host *host, uint64_t spi)
{
	struct shard *shard = shard_of_host(host);
	return steering_of_spi(&shard->set->steering, spi) == shard->index;
}

static void host_send(struct ike_host *host, const struct ike_path *path, struct bytes message)
{
	shard_send(shard_of_host(host), path, message);
}

static void host_send_keepalive(struct ike_host *host, const struct ike_path *path)
{
	shard_send_keepalive(shard_of_host(host), path);
}

static void host_arm(struct ike_host *host, struct timer *timer, uint64_t due_ms)
{
	timer_arm(shard_of_host(host)->wheel, timer, due_ms);
}

static void host_cancel(struct ike_host *host, struct timer *timer)
{
	timer_cancel(shard_of_host(host)->wheel, timer);
}

static bool host_submit(struct ike_host *host, struct crypto_job *job)
{
	return shard_submit_job(shard_of_host(host), job);
}

static unsigned host_load(struct ike_host *host)
{
	return shard_job_load(shard_of_host(host));
}

/* ---- kernel -------------------------------------------------------------------- */

static uint32_t host_allocate_spi(struct ike_host *host)
{
	return kernel_channel_allocate_spi(shard_of_host(host)->channel);
}

static void host_release_spi(struct ike_host *host, uint32_t spi)
{
	kernel_channel_release_spi(shard_of_host(host)->channel, spi);
}

static uint16_t host_allocate_cpi(struct ike_host *host)
{
	return kernel_channel_allocate_cpi(shard_of_host(host)->channel);
}

static void host_release_cpi(struct ike_host *host, uint16_t cpi)
{
	kernel_channel_release_cpi(shard_of_host(host)->channel, cpi);
}

static void host_ipsec(struct ike_host *host, const struct ipsec_request *request)
{
	kernel_channel_submit(shard_of_host(host)->channel, request);
}

/* ---- numbers --------------------------------------------------------------------- */

static uint64_t host_new_serial(struct ike_host *host)
{
	struct shard_set *set = shard_of_host(host)->set;
	return __atomic_add_fetch(&set->last_serial, 1, __ATOMIC_RELAXED);
}

static uint32_t host_new_reqid(struct ike_host *host)
{
	struct shard_set *set = shard_of_host(host)->set;
	return SHARD_REQID_FIRST | __atomic_fetch_add(&set->reqids_given, 1, __ATOMIC_RELAXED);
}

/* ---- the control thread's share -------------------------------------------------- */

static struct shard_mail *watcher_mail(struct shard *shard, enum shard_mail_kind kind,
	ike_watcher watcher, const char *text, size_t len)
{
	struct shard_mail *m = calloc(1, sizeof *m + len + 1);
	if (m != NULL) {
		m->mail.kind = kind;
		m->watcher = watcher;
		m->shard = shard->index;
		m->len = len;
		memcpy(m->text, text, len);
	}
	return m;
}

static void host_log(struct ike_host *host, enum log_severity severity, ike_watcher watcher,
	enum ike_rc code, const char *line, size_t len)
{
	struct shard *shard = shard_of_host(host);
	log_text(severity, line, len);
	if (watcher == 0) {
		return;
	}
	struct shard_mail *m = watcher_mail(shard, SHARD_MAIL_LINE, watcher, line, len);
	if (m != NULL) {
		m->code = code;
	}
	if (m == NULL || !outbox_post(&shard->control, &m->mail)) {
		free(m);
		tally_add(&shard->tally.lines_lost, 1);
	}
}

static void host_release_watcher(struct ike_host *host, ike_watcher watcher)
{
	struct shard *shard = shard_of_host(host);
	struct shard_mail *m = watcher_mail(shard, SHARD_MAIL_RELEASE, watcher, "", 0);
	if (m == NULL || !outbox_post_vital(&shard->control, &m->mail)) {
		log_line(LOG_LINE_ERROR, "out of memory: a waiting client is not released");
		free(m);
	}
}

static void host_tell(struct ike_host *host, const struct ike_news *news)
{
	shard_tell(shard_of_host(host), news);
}

static enum ike_updown_result host_updown(struct ike_host *host, const struct ike_updown *request)
{
	const struct shard_config *config = &shard_of_host(host)->set->config;
	return updown_ask(shard_of_host(host)->updown, kernel_name(config->kernel),
		config->updown_routes, request, host_wall_s(host));
}

/* ---- half-open SAs ---------------------------------------------------------------- */

static uint64_t half_open_everywhere(struct shard *shard, uint64_t own)
{
	struct half_open_view *view = &shard->half_open;
	const struct shard_set *set = shard->set;
	if (set->count > 1 && shard->now_ms - view->read_at_ms >= HALF_OPEN_READ_MS) {
		view->others = 0;
		view->read_at_ms = shard->now_ms;
		for (unsigned i = 0; i < set->count; i++) {
			view->others += i == shard->index ? 0 : shard_half_open(set->shards[i]);
		}
	}
	return own + view->others;
}

static bool overrun(struct shard *shard, uint64_t half_open, bool piling_up)
{
	bool begins;
	bool wanted = backlog_wants_cookies(&shard->backlog, shard->now_ms, piling_up, &begins);
	if (begins) {
		log_line(LOG_LINE_WARNING,
			"shard %u does not keep up, with %llu half-open IKE SAs: asking new "
			"initiators for cookies for a while",
			shard->index, (unsigned long long)half_open);
	}
	return wanted;
}

static bool host_require_cookie(struct ike_host *host, uint64_t half_open)
{
	struct shard *shard = shard_of_host(host);
	switch ((enum ddos_mode)__atomic_load_n(&shard->set->ddos_mode, __ATOMIC_RELAXED)) {
	case DDOS_BUSY:
		return true;
	case DDOS_UNLIMITED:
		return false;
	case DDOS_AUTO:
		break;
	}
	uint64_t all = half_open_everywhere(shard, half_open);
	uint64_t threshold = shard->set->config.ddos_threshold;
	return all >= threshold || overrun(shard, all, all >= threshold / BACKLOG_HALF_OPEN_PART);
}

static bool host_refuse_new(struct ike_host *host, uint64_t half_open)
{
	struct shard *shard = shard_of_host(host);
	uint64_t most = shard->set->config.max_half_open;
	return most != 0 && half_open_everywhere(shard, half_open) >= most;
}

void shard_host_init(struct shard *shard)
{
	shard->host = (struct ike_host){
		.now_ms = host_now_ms,
		.wall_s = host_wall_s,
		.random = host_random,
		.owns_spi = host_owns_spi,
		.send = host_send,
		.send_keepalive = host_send_keepalive,
		.arm = host_arm,
		.cancel = host_cancel,
		.submit = host_submit,
		.load = host_load,
		.allocate_spi = host_allocate_spi,
		.release_spi = host_release_spi,
		.allocate_cpi = host_allocate_cpi,
		.release_cpi = host_release_cpi,
		.ipsec = host_ipsec,
		.new_serial = host_new_serial,
		.new_reqid = host_new_reqid,
		.log = host_log,
		.release_watcher = host_release_watcher,
		.tell = host_tell,
		.updown = host_updown,
		.require_cookie = host_require_cookie,
		.refuse_new = host_refuse_new,
	};
}
