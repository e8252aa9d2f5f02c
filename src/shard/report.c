#include "report.h"

#include "shard_set.h"

#include <stdlib.h>

#define VISITS_MAX 128 /* each time around the loop: a visitor may print nothing for many SAs */

/* ---- control thread ----------------------------------------------------------- */

static void sweep(struct shard_set *set)
{
	for (struct report **link = &set->reports; *link != NULL;) {
		struct report *r = *link;
		if (__atomic_load_n(&r->finished, __ATOMIC_ACQUIRE) &&
			(!r->cancelled || __atomic_load_n(&r->cancel_done, __ATOMIC_ACQUIRE))) {
			*link = r->next;
			free(r);
		} else {
			link = &r->next;
		}
	}
}

/* A cancelled one is not the watcher's any more. */
static struct report *find_report(struct shard_set *set, ike_watcher watcher)
{
	for (struct report *r = set->reports; r != NULL; r = r->next) {
		if (r->watcher == watcher && !r->cancelled) {
			return r;
		}
	}
	return NULL;
}

static void go_on(struct shard_set *set, struct report *r)
{
	unsigned current = __atomic_load_n(&r->current, __ATOMIC_ACQUIRE);
	if (current < set->count && !__atomic_exchange_n(&r->asked, true, __ATOMIC_ACQ_REL)) {
		shard_set_post(set, current, &r->go.mail);
	}
}

void shard_report_start(struct shard_set *set, ike_watcher watcher, shard_visit *visit,
	bool want_counters, void *arg)
{
	sweep(set);
	struct report *r = calloc(1, sizeof *r);
	if (r == NULL) {
		log_line(LOG_LINE_ERROR, "out of memory: a report is not made");
		return;
	}
	r->watcher = watcher;
	r->visit = visit;
	r->want_counters = want_counters;
	r->arg = arg;
	r->go = (struct report_mail){{INBOX_REPORT_GO}, r};
	r->cancel = (struct report_mail){{INBOX_REPORT_CANCEL}, r};
	r->next = set->reports;
	set->reports = r;
	go_on(set, r);
}

void shard_report_continue(struct shard_set *set, ike_watcher watcher)
{
	struct report *r = find_report(set, watcher);
	if (r != NULL) {
		go_on(set, r);
	}
	sweep(set);
}

void shard_report_cancel(struct shard_set *set, ike_watcher watcher)
{
	struct report *r = find_report(set, watcher);
	if (r == NULL) {
		/* Complete already, perhaps unseen: the caller gets its answer all the same. */
		struct errand *e = errand_new(COMMAND_NOTHING, 1, true, watcher, NULL);
		if (e != NULL) {
			shard_set_post(set, 0, &e->commands[0].mail);
		}
		return;
	}
	/* A shard that has just passed it on answers for the one that has it not yet, too. */
	unsigned current = __atomic_load_n(&r->current, __ATOMIC_ACQUIRE);
	r->cancelled = true;
	shard_set_post(set, current < set->count ? current : set->count - 1, &r->cancel.mail);
}

void shard_set_free_reports(struct shard_set *set)
{
	while (set->reports != NULL) {
		struct report *r = set->reports;
		set->reports = r->next;
		free(r);
	}
}

/* ---- the shard ------------------------------------------------------------------- */

static struct report_run **find_run(struct shard *shard, const struct report *r)
{
	struct report_run **link = &shard->reports;
	while (*link != NULL && (*link)->report != r) {
		link = &(*link)->next;
	}
	return link;
}

static void drop_run(struct report_run **link)
{
	struct report_run *run = *link;
	*link = run->next;
	if (!run->walk_over) {
		ike_walk_end(&run->walk);
	}
	if (run->text.cut) {
		log_line(LOG_LINE_WARNING,
			"a report was cut: out of memory, or too long for one IKE SA");
	}
	sa_window_free(&run->window);
	report_text_free(&run->text);
	free(run);
}

static void tell(struct shard *shard, struct shard_mail *m, ike_watcher watcher, bool last)
{
	if (m != NULL) {
		m->watcher = watcher;
		m->shard = shard->index;
		m->last = last;
	}
	if (m == NULL || !outbox_post_vital(&shard->control, &m->mail)) {
		log_line(LOG_LINE_ERROR, "out of memory: a part of a report is lost");
		free(m);
	}
}

/* This shard's part is complete. The order matters: the control thread may free the report as soon
 * as it is finished, and asks the next shard as soon as it sees the chunk. */
static void leave_report(struct shard *shard, struct report *r)
{
	__atomic_store_n(&r->current, shard->index + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&r->asked, false, __ATOMIC_RELEASE);
	if (shard->index + 1 == shard->set->count) {
		__atomic_store_n(&r->finished, true, __ATOMIC_RELEASE);
	}
}

static void begin_run(struct shard *shard, struct report *r)
{
	struct report_run *run = calloc(1, sizeof *run);
	if (run == NULL) {
		ike_watcher watcher = r->watcher;
		struct report_text empty = {0};
		leave_report(shard, r);
		tell(shard, report_text_take(&empty), watcher, true);
		return;
	}
	run->report = r;
	run->running = true;
	run->id = ++shard->last_report_id & 0xffffff;
	run->next = shard->reports;
	shard->reports = run;
	ike_walk_start(shard->engine, &run->walk);
	if (r->want_counters) {
		struct ipsec_request all = {
			.op = IPSEC_SA_QUERY_ALL, .token = window_token_of_all(run->id)};
		run->gathering = true;
		kernel_channel_submit(shard->channel, &all);
	}
}

void shard_take_report_go(struct shard *shard, struct mail *mail)
{
	struct report *r = ((struct report_mail *)mail)->report;
	struct report_run *run = *find_run(shard, r);
	if (run != NULL) {
		run->running = true;
	} else {
		begin_run(shard, r);
	}
	shard->work_left = true;
}

void shard_take_report_cancel(struct shard *shard, struct mail *mail)
{
	struct report *r = ((struct report_mail *)mail)->report;
	struct report_run **link = find_run(shard, r);
	ike_watcher watcher = r->watcher;
	if (*link != NULL) {
		drop_run(link);
	}
	__atomic_store_n(&r->finished, true, __ATOMIC_RELEASE);
	__atomic_store_n(&r->cancel_done, true, __ATOMIC_RELEASE);
	struct shard_mail *m = calloc(1, sizeof *m + 1);
	if (m != NULL) {
		m->mail.kind = SHARD_MAIL_DONE;
	}
	tell(shard, m, watcher, true);
}

static void give_chunk(struct shard *shard, struct report_run **link)
{
	struct report_run *run = *link;
	struct report *r = run->report;
	ike_watcher watcher = r->watcher;
	struct shard_mail *m = report_text_take(&run->text);
	bool complete = run->walk_over && run->window.count == 0 && run->text.len == 0;
	if (complete) {
		drop_run(link);
		leave_report(shard, r);
	} else {
		run->running = false;
		__atomic_store_n(&r->asked, false, __ATOMIC_RELEASE);
	}
	tell(shard, m, watcher, complete);
}

/* One IKE SA, if there is one to be shown now. */
static bool visit_next(struct shard *shard, struct report_run *run)
{
	const struct ike_sa_view *view;
	const struct ipsec_counters *counters = NULL;
	struct ike_sa_view own;
	if (run->report->want_counters) {
		view = sa_window_next(&run->window, shard->engine, &counters);
	} else {
		view = ike_walk_next(&run->walk, &own) ? &own : NULL;
		run->walk_over = view == NULL;
	}
	if (view != NULL) {
		run->report->visit(&run->text, shard->engine, view, counters, run->report->arg);
	}
	return view != NULL;
}

static void visit_some(struct shard *shard, struct report_run *run)
{
	for (unsigned i = 0; i < VISITS_MAX; i++) {
		if (run->text.len >= REPORT_CHUNK_MAX || !visit_next(shard, run)) {
			return;
		}
	}
}

static bool waits_for_kernel(const struct report_run *run)
{
	return run->gathering || (run->window.count > 0 && run->window.outstanding > 0);
}

/* True when the run is still to go on without waiting for anybody. */
static bool step(struct shard *shard, struct report_run **link)
{
	struct report_run *run = *link;
	if (!run->running || waits_for_kernel(run)) {
		return false;
	}
	if (run->report->want_counters && run->window.count == 0 && !run->walk_over) {
		run->walk_over = !sa_window_fill(&run->window, shard, &run->walk, run->id);
		if (waits_for_kernel(run)) {
			return false;
		}
	}
	visit_some(shard, run);
	bool over = run->walk_over && run->window.count == 0;
	if (over || run->text.len >= REPORT_CHUNK_MAX) {
		give_chunk(shard, link);
		return false;
	}
	return true;
}

void shard_step_reports(struct shard *shard)
{
	struct report_run **link = &shard->reports;
	while (*link != NULL) {
		struct report_run *run = *link;
		shard->work_left |= step(shard, link);
		if (*link == run) {
			link = &run->next;
		}
	}
}

void shard_report_answer(struct shard *shard, const struct ipsec_answer *answer)
{
	for (struct report_run *run = shard->reports; run != NULL; run = run->next) {
		if (run->id == window_token_report(answer->token)) {
			if (answer->op == IPSEC_SA_QUERY_ALL) {
				/* After an error those that are not known are asked for. */
				run->gathering = false;
			} else {
				sa_window_answer(&run->window, answer);
			}
			return;
		}
	}
}

void shard_report_counters(struct shard *shard, uint64_t token, const struct ipsec_counted *counted)
{
	for (struct report_run *run = shard->reports; run != NULL; run = run->next) {
		if (run->id == window_token_report(token)) {
			sa_counters_take(&run->window.known, counted);
			return;
		}
	}
}

void shard_drop_reports(struct shard *shard)
{
	while (shard->reports != NULL) {
		drop_run(&shard->reports);
	}
}
