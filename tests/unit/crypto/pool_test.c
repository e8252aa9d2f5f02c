/* The pool of crypto workers: under load, full, stopped in the middle, with dead receivers. */
#include "job_test.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pause_ms(unsigned ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

static struct crypto_pool *start(unsigned workers, size_t queue_capacity)
{
	struct crypto_pool_config config = {.workers = workers, .queue_capacity = queue_capacity};
	char error[128] = "";
	struct crypto_pool *pool = crypto_pool_start(&config, error, sizeof(error));

	if (!pool)
		fail_msg("%s", error);
	return pool;
}

static struct crypto_job *generate_job(uint16_t id, struct mailbox *reply, uint64_t tag)
{
	struct crypto_job *job =
		crypto_job_new(CRYPTO_KE_GENERATE, group_of(id), bytes_of(NULL, 0));

	assert_non_null(job);
	job->reply = reply;
	job->tag = tag;
	job->mail.kind = 77;
	return job;
}

static void submit_sure(struct crypto_pool *pool, struct crypto_job *job)
{
	assert_true(crypto_pool_submit(pool, job));
}

/* The next answer; NULL when none comes within the time. Sleeps as a shard would. */
static struct crypto_job *receive(struct mailbox *box, unsigned ms)
{
	uint64_t end = now_ns() + ms * 1000000ull;
	struct mail *mail;

	for (;;) {
		uint64_t now;

		if (mailbox_take(box, &mail, 1) == 1) {
			assert_int_equal(mail->kind, 77);
			return (struct crypto_job *)mail;
		}
		now = now_ns();
		if (now >= end)
			return NULL;
		if (mailbox_sleep(box)) {
			struct pollfd fd = {.fd = mailbox_fd(box), .events = POLLIN};

			poll(&fd, 1, (int)((end - now) / 1000000) + 1);
		}
		mailbox_awake(box);
	}
}

static void receive_ok(struct mailbox *box, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct crypto_job *job = receive(box, 20000);

		assert_non_null(job);
		assert_int_equal(job->result, CRYPTO_JOB_OK);
		crypto_job_free(job);
	}
}

static struct mailbox *new_box(size_t capacity)
{
	struct mailbox *box = mailbox_new(capacity);

	assert_non_null(box);
	return box;
}

/* ---- start ------------------------------------------------------------------- */

static void expect_no_start(struct crypto_pool_config config, const char *reason)
{
	char error[128] = "";

	assert_null(crypto_pool_start(&config, error, sizeof(error)));
	if (!strstr(error, reason))
		fail_msg("\"%s\" does not tell of \"%s\"", error, reason);
}

static void bad_configurations(void **state)
{
	static const unsigned cpus[] = {0, 5000, 70000};

	(void)state;
	expect_no_start((struct crypto_pool_config){.workers = 2}, "queue of 0 jobs");
	expect_no_start((struct crypto_pool_config){.workers = 2, .queue_capacity = SIZE_MAX},
		"not between");
	expect_no_start((struct crypto_pool_config){.workers = 100000, .queue_capacity = 8},
		"100000 crypto workers");
	/* the first worker starts, the second cannot: nothing may be left behind */
	expect_no_start(
		(struct crypto_pool_config){.workers = 2, .cpus = cpus, .queue_capacity = 8},
		"crypto worker 1: no thread on CPU 5000");
	expect_no_start(
		(struct crypto_pool_config){.workers = 1, .cpus = cpus + 2, .queue_capacity = 8},
		"CPU 70000");
	assert_null(crypto_pool_start(&(struct crypto_pool_config){.workers = 2}, NULL, 0));
	crypto_pool_stop(NULL);
}

/* Finds the thread of this name in our process; 0 if there is none. */
static pid_t thread_named(const char *name)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	pid_t found = 0;

	assert_non_null(dir);
	while (!found && (entry = readdir(dir))) {
		char path[300], comm[32] = "";
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(comm, sizeof(comm), file)) {
			comm[strcspn(comm, "\n")] = 0;
			if (strcmp(comm, name) == 0)
				found = (pid_t)atoi(entry->d_name);
		}
		fclose(file);
	}
	closedir(dir);
	return found;
}

static void workers_are_pinned_and_named(void **state)
{
	unsigned cpus[2] = {0, 0};
	cpu_set_t allowed;
	struct crypto_pool_config config = {.workers = 2, .cpus = cpus, .queue_capacity = 8};
	char error[128] = "";
	struct crypto_pool *pool;
	unsigned n = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++) {
		if (CPU_ISSET(cpu, &allowed))
			cpus[n++] = cpu;
	}
	if (n == 1)
		cpus[1] = cpus[0];
	pool = crypto_pool_start(&config, error, sizeof(error));
	if (!pool)
		fail_msg("%s", error);
	for (unsigned i = 0; i < 2; i++) {
		char name[16];
		cpu_set_t set;
		pid_t tid;

		snprintf(name, sizeof(name), "crypto-%u", i);
		tid = thread_named(name);
		assert_int_not_equal(tid, 0);
		assert_int_equal(sched_getaffinity(tid, sizeof(set), &set), 0);
		assert_int_equal(CPU_COUNT(&set), 1);
		assert_true(CPU_ISSET(cpus[i], &set));
	}
	crypto_pool_stop(pool);
	assert_int_equal(thread_named("crypto-0"), 0);
}

/* ---- one job ------------------------------------------------------------------ */

static void run_one_of_each(unsigned workers)
{
	struct crypto_pool *pool = start(workers, 64);
	struct mailbox *box = new_box(8);
	struct crypto_pool_stats stats;
	uint64_t jobs = 0;

	for (size_t i = 0; i < ALL_GROUPS; i++) {
		const struct algorithm *group = group_of(all_groups[i]);
		struct crypto_job *a, *b;

		a = generate_job(all_groups[i], box, i);
		submit_sure(pool, a);
		assert_ptr_equal(receive(box, 20000), a);
		assert_int_equal(a->result, CRYPTO_JOB_OK);
		assert_int_equal(a->tag, i);
		assert_true(a->submitted_ns > 0 && a->finished_ns >= a->submitted_ns);
		b = crypto_job_new(CRYPTO_KE_BOTH, group, bytes_of(a->public_value, a->public_len));
		b->reply = box;
		b->mail.kind = 77;
		submit_sure(pool, b);
		assert_ptr_equal(receive(box, 20000), b);
		assert_int_equal(b->result, CRYPTO_JOB_OK);
		crypto_job_free(a);
		crypto_job_free(b);
		jobs += 2;
	}
	stats = crypto_pool_stats(pool);
	assert_int_equal(stats.workers, workers);
	assert_int_equal(stats.submitted, jobs);
	assert_int_equal(stats.done, jobs);
	assert_int_equal(stats.batches, jobs);
	assert_int_equal(stats.refused, 0);
	assert_int_equal(stats.undelivered, 0);
	assert_true(stats.run_ns > 0);
	crypto_pool_stop(pool);
	mailbox_free(box);
}

static void each_group_by_a_worker(void **state)
{
	(void)state;
	run_one_of_each(1);
}

static void each_group_inline(void **state)
{
	(void)state;
	run_one_of_each(0);
}

static void inline_with_a_full_mailbox(void **state)
{
	struct crypto_pool *pool = start(0, 0);
	struct mailbox *box = new_box(2);
	struct crypto_job *job;

	(void)state;
	submit_sure(pool, generate_job(KE_CURVE25519, box, 1));
	submit_sure(pool, generate_job(KE_CURVE25519, box, 2));
	job = generate_job(KE_CURVE25519, box, 3);
	assert_false(crypto_pool_submit(pool, job));
	assert_int_equal(crypto_pool_stats(pool).refused, 1);
	assert_int_equal(crypto_pool_load(pool), 0);
	receive_ok(box, 2);
	submit_sure(pool, job);
	receive_ok(box, 1);
	assert_int_equal(crypto_pool_stats(pool).done, 3);
	crypto_pool_stop(pool);
	mailbox_free(box);
}

/* ---- overload ----------------------------------------------------------------- */

static void full_queues_refuse(void **state)
{
	enum { WORKERS = 2, CAPACITY = 5 };
	struct crypto_pool *pool = start(WORKERS, CAPACITY);
	struct mailbox *box = new_box(64);
	struct crypto_pool_stats stats;
	struct crypto_job *job;
	size_t accepted = 0;

	(void)state;
	/* slow ones, so that the queues fill up; no answer leaves before it is counted */
	for (;;) {
		job = generate_job(KE_MODP8192, box, accepted);
		if (!crypto_pool_submit(pool, job))
			break;
		assert_true(++accepted < 1000);
	}
	assert_true(accepted >= WORKERS * CAPACITY);
	stats = crypto_pool_stats(pool);
	assert_int_equal(stats.refused, 1);
	assert_int_equal(stats.submitted, accepted);
	assert_true(stats.depth > 0 && stats.depth <= WORKERS * CAPACITY);
	assert_true(crypto_pool_load(pool) >= 50);
	/* the refused job is still ours, and whole */
	crypto_job_run(job);
	assert_int_equal(job->result, CRYPTO_JOB_OK);
	crypto_job_free(job);
	receive_ok(box, accepted);
	/* the worker counts right after it posts */
	for (int i = 0; i < 1000 && crypto_pool_load(pool) > 0; i++)
		pause_ms(1);
	assert_int_equal(crypto_pool_load(pool), 0);
	stats = crypto_pool_stats(pool);
	assert_int_equal(stats.depth, 0);
	assert_int_equal(stats.done, accepted);
	assert_true(stats.batches <= stats.done);
	assert_true(stats.wait_ns > 0);
	crypto_pool_stop(pool);
	mailbox_free(box);
}

/* While one worker is at a slow job, quick ones must not queue up behind it: by turns alone the
 * second would. Time decides, so one success in some attempts is enough; without the choice there
 * is none. */
static void idle_worker_is_found(void **state)
{
	struct crypto_pool *pool = start(2, 64);
	struct mailbox *slow = new_box(16), *quick = new_box(16);
	struct crypto_job *first = generate_job(KE_MODP8192, slow, 0);
	bool overtaken = false;

	(void)state;
	crypto_job_run(first);
	for (int attempt = 0; attempt < 50 && !overtaken; attempt++) {
		struct crypto_job *job = crypto_job_new(CRYPTO_KE_BOTH, group_of(KE_MODP8192),
			bytes_of(first->public_value, first->public_len));

		job->reply = slow;
		job->mail.kind = 77;
		submit_sure(pool, job);
		for (int i = 0; i < 4; i++) {
			submit_sure(pool, generate_job(KE_CURVE25519, quick, 0));
			receive_ok(quick, 1);
		}
		overtaken = mailbox_depth(slow) == 0;
		receive_ok(slow, 1);
	}
	assert_true(overtaken);
	crypto_job_free(first);
	crypto_pool_stop(pool);
	mailbox_free(slow);
	mailbox_free(quick);
}

struct submitter {
	struct crypto_pool *pool;
	struct mailbox *box;
	pthread_t thread;
	uint64_t number;
	size_t answered;
	bool wrong;
};

enum { SUBMITTERS = 4, JOBS_EACH = 400, WINDOW = 32 };

static void take_answer(struct submitter *s, unsigned ms, uint8_t seen[JOBS_EACH])
{
	struct crypto_job *job = receive(s->box, ms);
	uint64_t index;

	if (!job) {
		s->wrong = true;
		return;
	}
	index = job->tag & 0xffffffff;
	if (job->tag >> 32 != s->number || index >= JOBS_EACH || seen[index]++ ||
		job->result != (job->owner ? CRYPTO_JOB_OK : CRYPTO_JOB_BAD_PEER_VALUE))
		s->wrong = true;
	s->answered++;
	crypto_job_free(job);
}

/* A shard's life: submits, goes on when refused, takes its answers. */
static void *submit_and_take(void *arg)
{
	static const uint16_t ids[] = {
		KE_CURVE25519, KE_ECP_256, KE_MODP1024, KE_CURVE25519, KE_CURVE25519, KE_ECP_521};
	struct submitter *s = arg;
	uint8_t seen[JOBS_EACH] = {0};
	size_t in_flight = 0;

	for (uint64_t i = 0; i < JOBS_EACH; i++) {
		uint16_t id = ids[(i + s->number) % 6];
		bool bad = i % 5 == 0;
		uint8_t peer[KE_PUBLIC_MAX] = {0};
		struct crypto_job *job = crypto_job_new(bad ? CRYPTO_KE_BOTH : CRYPTO_KE_GENERATE,
			group_of(id), bytes_of(peer, group_of(id)->public_len));

		job->reply = s->box;
		job->mail.kind = 77;
		job->tag = s->number << 32 | i;
		job->owner = bad ? NULL : s;
		while (!crypto_pool_submit(s->pool, job)) {
			if (in_flight > 0) {
				take_answer(s, 20000, seen);
				in_flight--;
			} else {
				sched_yield();
			}
		}
		in_flight++;
		while (in_flight >= WINDOW) {
			take_answer(s, 20000, seen);
			in_flight--;
		}
	}
	while (in_flight-- > 0)
		take_answer(s, 20000, seen);
	return NULL;
}

static void load_with(unsigned workers, size_t capacity)
{
	struct crypto_pool *pool = start(workers, capacity);
	struct submitter submitters[SUBMITTERS];
	struct crypto_pool_stats stats;

	for (uint64_t i = 0; i < SUBMITTERS; i++) {
		submitters[i] =
			(struct submitter){.pool = pool, .box = new_box(WINDOW), .number = i};
		assert_int_equal(pthread_create(&submitters[i].thread, NULL, submit_and_take,
					 &submitters[i]),
			0);
	}
	for (size_t i = 0; i < SUBMITTERS; i++) {
		/* somebody looks at the figures all the while */
		stats = crypto_pool_stats(pool);
		assert_true(stats.depth <= workers * capacity);
		assert_true(crypto_pool_load(pool) <= 100);
		pthread_join(submitters[i].thread, NULL);
		assert_false(submitters[i].wrong);
		assert_int_equal(submitters[i].answered, JOBS_EACH);
	}
	stats = crypto_pool_stats(pool);
	assert_int_equal(stats.submitted, SUBMITTERS * JOBS_EACH);
	assert_int_equal(stats.done, SUBMITTERS * JOBS_EACH);
	assert_int_equal(stats.undelivered, 0);
	crypto_pool_stop(pool);
	for (size_t i = 0; i < SUBMITTERS; i++)
		mailbox_free(submitters[i].box);
}

static void load_with_room(void **state)
{
	(void)state;
	load_with(3, 256);
}

static void load_with_full_queues(void **state)
{
	(void)state;
	load_with(2, 3);
}

static void load_inline(void **state)
{
	(void)state;
	load_with(0, 0);
}

/* ---- receivers that do not receive ---------------------------------------------- */

static void full_reply_mailbox_holds_up_nobody(void **state)
{
	enum { JOBS = 20 };
	struct crypto_pool *pool = start(1, 64);
	struct mailbox *stuck = new_box(2), *healthy = new_box(64);
	struct crypto_pool_stats stats;

	(void)state;
	for (int i = 0; i < JOBS; i++) {
		submit_sure(pool, generate_job(KE_CURVE25519, stuck, 0));
		submit_sure(pool, generate_job(KE_CURVE25519, healthy, 0));
	}
	receive_ok(healthy, JOBS);
	/* the answers that found no room still take room in the pool: 18 of 64 */
	for (int i = 0; i < 1000 && crypto_pool_load(pool) != (JOBS - 2) * 100 / 64; i++)
		pause_ms(1);
	assert_int_equal(crypto_pool_load(pool), (JOBS - 2) * 100 / 64);
	stats = crypto_pool_stats(pool);
	assert_int_equal(stats.undelivered, 0);
	assert_int_equal(stats.depth, 0);
	receive_ok(stuck, JOBS);
	crypto_pool_stop(pool);
	mailbox_free(stuck);
	mailbox_free(healthy);
}

/* The outbox as a queue: an answer goes out from its end, and another comes behind. */
static void answers_of_two_full_mailboxes(void **state)
{
	struct crypto_pool *pool = start(1, 64);
	struct mailbox *a = new_box(2), *b = new_box(2);

	(void)state;
	for (int i = 0; i < 3; i++)
		submit_sure(pool, generate_job(KE_CURVE25519, a, 0));
	for (int i = 0; i < 3; i++)
		submit_sure(pool, generate_job(KE_CURVE25519, b, 0));
	/* four are in the mailboxes, two in the outbox: of 64 places */
	for (int i = 0; i < 1000 && crypto_pool_load(pool) != 2 * 100 / 64; i++)
		pause_ms(1);
	assert_int_equal(crypto_pool_load(pool), 2 * 100 / 64);
	receive_ok(b, 3);
	submit_sure(pool, generate_job(KE_CURVE25519, a, 0));
	for (int i = 0; i < 1000 && crypto_pool_stats(pool).done < 7; i++)
		pause_ms(1);
	receive_ok(a, 4);
	assert_null(receive(a, 0));
	crypto_pool_stop(pool);
	mailbox_free(a);
	mailbox_free(b);
}

/* After two seconds the secrets are wiped; the shell still comes, so that the asker's pointer
 * to the job never dangles. */
static void late_answers(void **state)
{
	enum { JOBS = 6 };
	struct crypto_pool *pool = start(1, 8);
	struct mailbox *stuck = new_box(2);
	struct crypto_pool_stats stats;
	unsigned failed = 0;

	(void)state;
	for (int i = 0; i < JOBS; i++)
		submit_sure(pool, generate_job(KE_CURVE25519, stuck, 0));
	for (int i = 0; i < 5000 && crypto_pool_stats(pool).undelivered < JOBS - 2; i++)
		pause_ms(1);
	stats = crypto_pool_stats(pool);
	assert_int_equal(stats.undelivered, JOBS - 2);
	assert_int_equal(stats.done, JOBS);
	/* the dead receiver no longer takes room from the others */
	assert_int_equal(crypto_pool_load(pool), 0);
	for (int i = 0; i < JOBS; i++) {
		struct crypto_job *job = receive(stuck, 5000);

		assert_non_null(job);
		if (job->result != CRYPTO_JOB_OK) {
			assert_int_equal(job->result, CRYPTO_JOB_FAILED);
			assert_null(job->private_key.data);
			failed++;
		}
		crypto_job_free(job);
	}
	assert_int_equal(failed, JOBS - 2);
	/* and the worker still works */
	submit_sure(pool, generate_job(KE_CURVE25519, stuck, 0));
	receive_ok(stuck, 1);
	crypto_pool_stop(pool);
	mailbox_free(stuck);
}

/* The asker is deleted while its job is in flight, or waits. */
static void owner_gone(void **state)
{
	enum { JOBS = 64 };
	struct crypto_pool *pool = start(2, 64);
	struct mailbox *box = new_box(JOBS);
	struct crypto_job *jobs[JOBS];
	int owner;

	(void)state;
	for (int i = 0; i < JOBS; i++) {
		jobs[i] = generate_job(i % 8 ? KE_ECP_256 : KE_MODP2048, box, (uint64_t)i);
		jobs[i]->owner = &owner;
		submit_sure(pool, jobs[i]);
	}
	for (int i = 0; i < JOBS; i += 2)
		jobs[i]->owner = NULL;
	for (int i = 0; i < JOBS; i++) {
		struct crypto_job *job = receive(box, 20000);

		assert_non_null(job);
		assert_int_equal(job->result, CRYPTO_JOB_OK);
		assert_ptr_equal(job->owner, job->tag % 2 ? &owner : NULL);
		crypto_job_free(job);
	}
	crypto_pool_stop(pool);
	mailbox_free(box);
}

/* ---- stop ------------------------------------------------------------------------- */

/* What was not run is freed (the leak checker sees to it), what was run is answered. */
static void stop_with_jobs_in_flight(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 12; round++) {
		struct crypto_pool *pool = start(2, 64);
		struct mailbox *box = new_box(256);
		size_t answered = 0;
		uint64_t begin;
		struct mail *mail;

		for (int i = 0; i < 100; i++)
			submit_sure(pool, generate_job(KE_MODP2048, box, 0));
		if (round % 3)
			pause_ms(round % 3);
		begin = now_ns();
		crypto_pool_stop(pool);
		/* a worker finishes its job of 0.1 ms, not its queue */
		assert_true(now_ns() - begin < 2000000000u);
		while (mailbox_take(box, &mail, 1) == 1) {
			struct crypto_job *job = (struct crypto_job *)mail;

			assert_int_equal(job->result, CRYPTO_JOB_OK);
			crypto_job_free(job);
			answered++;
		}
		assert_true(answered <= 100);
		mailbox_free(box);
	}
}

static void stop_with_undeliverable_answers(void **state)
{
	struct crypto_pool *pool = start(1, 64);
	struct mailbox *stuck = new_box(2);
	int i;

	(void)state;
	for (i = 0; i < 10; i++)
		submit_sure(pool, generate_job(KE_CURVE25519, stuck, 0));
	for (i = 0; i < 1000 && crypto_pool_stats(pool).done < 10; i++)
		pause_ms(1);
	assert_int_equal(crypto_pool_stats(pool).done, 10);
	crypto_pool_stop(pool);
	receive_ok(stuck, 2);
	assert_null(receive(stuck, 0));
	mailbox_free(stuck);
}

static void stop_while_asleep(void **state)
{
	(void)state;
	for (int round = 0; round < 50; round++) {
		struct crypto_pool *pool = start(2, 4);

		if (round % 2)
			pause_ms(1);
		crypto_pool_stop(pool);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_configurations),
		cmocka_unit_test(workers_are_pinned_and_named),
		cmocka_unit_test(each_group_by_a_worker),
		cmocka_unit_test(each_group_inline),
		cmocka_unit_test(inline_with_a_full_mailbox),
		cmocka_unit_test(full_queues_refuse),
		cmocka_unit_test(idle_worker_is_found),
		cmocka_unit_test(load_with_room),
		cmocka_unit_test(load_with_full_queues),
		cmocka_unit_test(load_inline),
		cmocka_unit_test(full_reply_mailbox_holds_up_nobody),
		cmocka_unit_test(answers_of_two_full_mailboxes),
		cmocka_unit_test(late_answers),
		cmocka_unit_test(owner_gone),
		cmocka_unit_test(stop_with_jobs_in_flight),
		cmocka_unit_test(stop_with_undeliverable_answers),
		cmocka_unit_test(stop_while_asleep),
	};

	return cmocka_run_group_tests_name("crypto pool", tests, NULL, NULL);
}
