#include "crl_fetcher.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#define TRANSFERS_MAX 8
#define REDIRECTS_MAX 3L
#define IDLE_MAX_MS   60000 /* the clock may be set */

struct transfer {
	CURL *curl; /* NULL: free */
	unsigned id;
	char *url;
	uint8_t *data;
	size_t len, room;
	bool too_long;
	char error[CURL_ERROR_SIZE];
};

struct crl_fetcher {
	struct crl_fetcher_config config;
	char *interface;
	CURLM *multi;
	pthread_t thread;
	_Atomic bool stopping;
	struct transfer transfers[TRANSFERS_MAX];
};

/* ---- one transfer ---------------------------------------------------------------------- */

static bool make_room(struct transfer *t, size_t more)
{
	size_t room = t->room ? t->room : 4096;
	uint8_t *data;

	if (more > CRL_LEN_MAX - t->len) {
		t->too_long = true;
		return false;
	}
	while (room < t->len + more)
		room *= 2;
	if (room == t->room)
		return true;
	data = realloc(t->data, room);
	if (!data)
		return false;
	t->data = data;
	t->room = room;
	return true;
}

static size_t receive(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;

	if (!make_room(t, size * count))
		return 0;
	memcpy(t->data + t->len, data, size * count);
	t->len += size * count;
	return size * count;
}

static bool set_up(struct crl_fetcher *f, struct transfer *t)
{
	CURL *c = t->curl;

	return curl_easy_setopt(c, CURLOPT_URL, t->url) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_MAXREDIRS, REDIRECTS_MAX) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)f->config.timeout_s) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_MAXFILESIZE, (long)CRL_LEN_MAX) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, receive) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PRIVATE, t) == CURLE_OK &&
	       (!f->interface || curl_easy_setopt(c, CURLOPT_INTERFACE, f->interface) == CURLE_OK);
}

static void end_transfer(struct crl_fetcher *f, struct transfer *t)
{
	if (t->curl) {
		curl_multi_remove_handle(f->multi, t->curl);
		curl_easy_cleanup(t->curl);
	}
	free(t->url);
	free(t->data);
	memset(t, 0, sizeof(*t));
}

static void finish(struct crl_fetcher *f, struct transfer *t, const char *why)
{
	struct bytes der = why ? (struct bytes){0} : bytes_of(t->data, t->len);
	struct fetched_crl *before, *crl;

	if (!why && t->len == 0)
		why = "the answer is empty";
	crl = crl_points_finish(f->config.points, t->id, (int64_t)time(NULL), der, why, &before);
	if (crl)
		f->config.on_crl(f->config.arg, crl, before);
	fetched_crl_unref(before);
	fetched_crl_unref(crl);
	end_transfer(f, t);
}

static const char *words(const struct transfer *t, CURLcode result)
{
	if (result == CURLE_OK)
		return NULL;
	if (t->too_long || result == CURLE_FILESIZE_EXCEEDED)
		return "it is too large";
	return t->error[0] ? t->error : curl_easy_strerror(result);
}

static void begin_one(struct crl_fetcher *f, struct transfer *t)
{
	t->id = crl_points_take(f->config.points, (int64_t)time(NULL), &t->url);
	if (!t->id)
		return;
	t->curl = curl_easy_init();
	if (!t->curl || !set_up(f, t) || curl_multi_add_handle(f->multi, t->curl) != CURLM_OK)
		finish(f, t, "the transfer cannot be set up");
}

/* ---- the thread --------------------------------------------------------------------------- */

static void begin_due(struct crl_fetcher *f)
{
	for (unsigned i = 0; i < TRANSFERS_MAX; i++)
		if (!f->transfers[i].curl)
			begin_one(f, &f->transfers[i]);
}

static void finish_done(struct crl_fetcher *f)
{
	struct transfer *t;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(f->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		finish(f, t, words(t, message->data.result));
	}
}

static int pause_ms(struct crl_fetcher *f)
{
	int64_t due_s = crl_points_due(f->config.points), now_s = (int64_t)time(NULL);

	if (due_s <= now_s) /* all places are taken: what is under way wakes us */
		return 1000;
	return due_s - now_s > IDLE_MAX_MS / 1000 ? IDLE_MAX_MS : (int)(due_s - now_s) * 1000;
}

static void *fetch(void *arg)
{
	struct crl_fetcher *f = arg;
	int running;

	while (!atomic_load(&f->stopping)) {
		begin_due(f);
		if (curl_multi_perform(f->multi, &running) != CURLM_OK)
			break;
		finish_done(f);
		if (!atomic_load(&f->stopping))
			curl_multi_poll(f->multi, NULL, 0, pause_ms(f), NULL);
	}
	return NULL;
}

/* ---- start and stop ------------------------------------------------------------------------- */

static void release(struct crl_fetcher *f)
{
	for (unsigned i = 0; i < TRANSFERS_MAX; i++)
		end_transfer(f, &f->transfers[i]);
	curl_multi_cleanup(f->multi);
	free(f->interface);
	free(f);
}

static int start_thread(struct crl_fetcher *f)
{
	sigset_t all, before;
	int error;

	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&f->thread, NULL, fetch, f);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		pthread_setname_np(f->thread, "crl-fetcher");
	return error;
}

struct crl_fetcher *crl_fetcher_start(
	const struct crl_fetcher_config *config, char *error, size_t error_size)
{
	struct crl_fetcher *f = calloc(1, sizeof(*f));
	int failed;

	if (!f || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(f);
		snprintf(error, error_size, "libcurl cannot be used");
		return NULL;
	}
	f->config = *config;
	f->interface = config->interface ? strdup(config->interface) : NULL;
	f->multi = curl_multi_init();
	if (!f->multi || (config->interface && !f->interface)) {
		release(f);
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	failed = start_thread(f);
	if (failed) {
		release(f);
		snprintf(error, error_size, "no thread that fetches CRLs: %s", strerror(failed));
		return NULL;
	}
	return f;
}

void crl_fetcher_stop(struct crl_fetcher *f)
{
	if (!f)
		return;
	atomic_store(&f->stopping, true);
	curl_multi_wakeup(f->multi);
	pthread_join(f->thread, NULL);
	release(f);
}

void crl_fetcher_wake(struct crl_fetcher *f)
{
	if (f)
		curl_multi_wakeup(f->multi);
}
