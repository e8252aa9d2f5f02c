#include "crl_points.h"

#include "authentication_private.h"

#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/x509.h>

#define POINTS_MAX  64
#define AGAIN_MIN_S 60 /* after a failure */

struct point {
	unsigned id;            /* from 1 on */
	struct bytes authority; /* its certificate */
	struct bytes name;
	char text[DN_TEXT_MAX];
	unsigned url_count, url_at;
	char *urls[CRL_URLS_MAX];
	int64_t due_s; /* INT64_MAX: not by itself */
	bool under_way;
	struct fetched_crl *crl;
};

struct crl_points {
	pthread_mutex_t mutex;
	uint32_t interval_s;
	bool full; /* said once */
	unsigned count;
	struct point points[POINTS_MAX];
};

/* ---- made, freed ---------------------------------------------------------------------- */

void fetched_crl_unref(struct fetched_crl *crl)
{
	if (!crl || __atomic_sub_fetch(&crl->references, 1, __ATOMIC_ACQ_REL))
		return;
	free((void *)(uintptr_t)crl->der.data);
	free(crl->cached_as);
	free(crl);
}

static struct fetched_crl *crl_ref(struct fetched_crl *crl)
{
	if (crl)
		__atomic_add_fetch(&crl->references, 1, __ATOMIC_RELAXED);
	return crl;
}

static struct fetched_crl *crl_new(struct bytes der, const struct crl_content *content)
{
	struct fetched_crl *crl = calloc(1, sizeof(*crl));

	if (!crl)
		return NULL;
	crl->references = 1;
	crl->content = *content;
	crl->der = bytes_copy(der);
	if (crl->der.data)
		return crl;
	free(crl);
	return NULL;
}

struct crl_points *crl_points_new(uint32_t interval_s)
{
	struct crl_points *points = calloc(1, sizeof(*points));

	if (!points)
		return NULL;
	pthread_mutex_init(&points->mutex, NULL);
	points->interval_s = interval_s;
	return points;
}

static void point_release(struct point *p)
{
	for (unsigned i = 0; i < p->url_count; i++)
		free(p->urls[i]);
	free((void *)(uintptr_t)p->authority.data);
	free((void *)(uintptr_t)p->name.data);
	fetched_crl_unref(p->crl);
	memset(p, 0, sizeof(*p));
}

void crl_points_free(struct crl_points *points)
{
	if (!points)
		return;
	for (unsigned i = 0; i < points->count; i++)
		point_release(&points->points[i]);
	pthread_mutex_destroy(&points->mutex);
	free(points);
}

/* ---- noted ------------------------------------------------------------------------------ */

/* malloc'd; empty when it is malformed. */
static struct bytes subject_of(struct bytes der)
{
	X509 *certificate = certificate_of(der);
	unsigned char *out = NULL;
	int len = certificate ? i2d_X509_NAME(X509_get_subject_name(certificate), &out) : 0;
	struct bytes name = len > 0 ? bytes_copy(bytes_of(out, (size_t)len)) : (struct bytes){0};

	OPENSSL_free(out);
	X509_free(certificate);
	return name;
}

static struct point *find_authority(struct crl_points *points, struct bytes authority)
{
	for (unsigned i = 0; i < points->count; i++)
		if (bytes_equal(points->points[i].authority, authority))
			return &points->points[i];
	return NULL;
}

static struct point *add(struct crl_points *points, struct bytes authority)
{
	struct point *p = &points->points[points->count];

	if (points->count == POINTS_MAX) {
		if (!points->full)
			log_line(LOG_LINE_WARNING,
				"CRLs are fetched of %d authorities, not of more", POINTS_MAX);
		points->full = true;
		return NULL;
	}
	p->authority = bytes_copy(authority);
	p->name = subject_of(authority);
	if (!p->authority.data || !p->name.data) {
		point_release(p);
		return NULL;
	}
	dn_text(p->name, p->text, sizeof(p->text));
	p->id = ++points->count;
	p->due_s = points->interval_s ? 0 : INT64_MAX;
	return p;
}

static bool has_url(const struct point *p, const char *url)
{
	for (unsigned i = 0; i < p->url_count; i++)
		if (strcmp(p->urls[i], url) == 0)
			return true;
	return false;
}

/* Takes `url`. */
static void add_url(struct point *p, char *url)
{
	if (p && p->url_count < CRL_URLS_MAX && !has_url(p, url))
		p->urls[p->url_count++] = url;
	else
		free(url);
}

bool crl_points_note(struct crl_points *points, struct bytes certificate, struct bytes authority)
{
	char *urls[CRL_URLS_MAX];
	unsigned count = crl_urls(certificate, urls);
	struct point *p;
	bool due;

	if (count == 0)
		return false;
	pthread_mutex_lock(&points->mutex);
	p = find_authority(points, authority);
	if (!p)
		p = add(points, authority);
	for (unsigned i = 0; i < count; i++)
		add_url(p, urls[i]);
	due = p && p->due_s == 0;
	pthread_mutex_unlock(&points->mutex);
	return due;
}

void crl_points_hurry(struct crl_points *points)
{
	pthread_mutex_lock(&points->mutex);
	for (unsigned i = 0; i < points->count; i++)
		points->points[i].due_s = 0;
	pthread_mutex_unlock(&points->mutex);
}

struct fetched_crl *crl_points_find(struct crl_points *points, struct bytes name)
{
	struct fetched_crl *crl = NULL;

	pthread_mutex_lock(&points->mutex);
	for (unsigned i = 0; i < points->count && !crl; i++)
		if (bytes_equal(points->points[i].name, name))
			crl = crl_ref(points->points[i].crl);
	pthread_mutex_unlock(&points->mutex);
	return crl;
}

/* ---- fetched -------------------------------------------------------------------------------- */

unsigned crl_points_take(struct crl_points *points, int64_t now_s, char **url)
{
	unsigned id = 0;

	pthread_mutex_lock(&points->mutex);
	for (unsigned i = 0; i < points->count && !id; i++) {
		struct point *p = &points->points[i];

		if (p->under_way || p->due_s > now_s)
			continue;
		*url = strdup(p->urls[p->url_at]);
		if (!*url)
			break;
		p->under_way = true;
		p->due_s = INT64_MAX;
		id = p->id;
	}
	pthread_mutex_unlock(&points->mutex);
	return id;
}

int64_t crl_points_due(struct crl_points *points)
{
	int64_t due_s = INT64_MAX;

	pthread_mutex_lock(&points->mutex);
	for (unsigned i = 0; i < points->count; i++)
		if (!points->points[i].under_way && points->points[i].due_s < due_s)
			due_s = points->points[i].due_s;
	pthread_mutex_unlock(&points->mutex);
	return due_s;
}

/* Two intervals before it is out of date it begins to be fetched again. */
static int64_t next_due(const struct crl_points *points, const struct point *p, int64_t now_s)
{
	int64_t interval_s = points->interval_s, early_s;

	if (!interval_s || !p->crl || p->crl->content.next_update_s == INT64_MAX)
		return interval_s ? now_s + interval_s : INT64_MAX;
	early_s = p->crl->content.next_update_s - 2 * interval_s;
	return early_s > now_s + interval_s ? early_s : now_s + interval_s;
}

static void log_fetched(const struct point *p, const char *url)
{
	char until[32] = "never";
	time_t next = (time_t)p->crl->content.next_update_s;
	struct tm tm;

	if (p->crl->content.next_update_s != INT64_MAX && gmtime_r(&next, &tm))
		strftime(until, sizeof(until), "%Y-%m-%d %H:%M:%S UTC", &tm);
	log_line(LOG_LINE_INFO,
		"fetched the CRL of '%s' from %s: %u revoked certificates, next update %s", p->text,
		url, p->crl->content.revoked, until);
}

/* Under the mutex. False: it does not take the place of what there is. The same again is no new
 * one: NSS refers to the bytes of the one that it knows. */
static bool take_crl(struct point *p, struct bytes der, int64_t now_s, struct fetched_crl **before,
	char *why, size_t size)
{
	struct crl_content content;
	struct fetched_crl *crl;

	if (!crl_check(der, p->authority, now_s, &content, why, size))
		return false;
	if (p->crl && content.this_update_s < p->crl->content.this_update_s) {
		snprintf(why, size, "it is older than the one from before");
		return false;
	}
	if (p->crl && bytes_equal(p->crl->der, der))
		return true;
	crl = crl_new(der, &content);
	if (!crl) {
		snprintf(why, size, "out of memory");
		return false;
	}
	*before = p->crl;
	p->crl = crl;
	return true;
}

struct fetched_crl *crl_points_finish(struct crl_points *points, unsigned id, int64_t now_s,
	struct bytes der, const char *why, struct fetched_crl **before)
{
	struct point *p = &points->points[id - 1];
	struct fetched_crl *crl = NULL, *known;
	char reason[REFUSAL_TEXT_MAX];
	const char *url;

	*before = NULL;
	pthread_mutex_lock(&points->mutex);
	url = p->urls[p->url_at]; /* is never changed once it is there */
	snprintf(reason, sizeof(reason), "%s", why ? why : "");
	p->under_way = false;
	known = p->crl;
	if (der.len && take_crl(p, der, now_s, before, reason, sizeof(reason))) {
		p->due_s = p->due_s == 0 ? 0 : next_due(points, p, now_s);
		if (p->crl != known) {
			crl = crl_ref(p->crl);
			log_fetched(p, url);
		}
	} else {
		log_line(LOG_LINE_WARNING, "fetching the CRL of '%s' from %s failed: %s", p->text,
			url, reason);
		p->url_at = (p->url_at + 1) % p->url_count;
		if (p->url_at != 0)
			p->due_s = 0; /* the next URL at once */
		else if (points->interval_s)
			p->due_s = now_s + (points->interval_s > AGAIN_MIN_S ? points->interval_s
									     : AGAIN_MIN_S);
	}
	pthread_mutex_unlock(&points->mutex);
	return crl;
}

/* ---- lists -------------------------------------------------------------------------------------
 */

void crl_points_list(struct crl_points *points, credentials_visit_crl *visit,
	credentials_visit_fetch *visit_fetch, void *arg)
{
	pthread_mutex_lock(&points->mutex);
	for (unsigned i = 0; i < points->count; i++) {
		const struct point *p = &points->points[i];

		if (visit && p->crl) {
			const struct crl_content *content = &p->crl->content;
			struct crl_facts facts = {p->text, content->revoked, content->this_update_s,
				content->next_update_s == INT64_MAX ? 0 : content->next_update_s};

			visit(&facts, arg);
		}
		for (unsigned u = 0; visit_fetch && u < p->url_count; u++)
			visit_fetch(
				p->text, p->urls[u], p->due_s == INT64_MAX ? -1 : p->due_s, arg);
	}
	pthread_mutex_unlock(&points->mutex);
}
