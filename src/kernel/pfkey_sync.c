/* One request, one answer, waited for: what is done before there are channels, and after. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/secret.h"
#include "pfkey.h"

#define WAIT_S         30 /* the first use of an algorithm loads modules */
#define RECEIVE_BUFFER (4 << 20)

struct pfkey_sync {
	int fd;
	uint32_t pid, sequence;
	struct pfkey_message msg;
	_Alignas(8) uint8_t buffer[PFKEY_RECEIVE_MAX];
};

struct pfkey_sync *pfkey_sync_open(uint32_t pid, char *error, size_t error_size)
{
	struct pfkey_sync *s = calloc(1, sizeof(*s));
	struct timeval wait = {.tv_sec = WAIT_S};

	if (!s) {
		snprintf(error, error_size, "kernel interface \"pfkey\": out of memory");
		return NULL;
	}
	s->pid = pid;
	s->fd = socket(PF_KEY, SOCK_RAW | SOCK_CLOEXEC, PF_KEY_V2);
	if (s->fd < 0) {
		snprintf(error, error_size, "kernel interface \"pfkey\": no PF_KEY socket: %s%s",
			strerror(errno),
			errno == EAFNOSUPPORT ? " (the kernel has no af_key)"
			: errno == EPERM      ? " (CAP_NET_ADMIN is needed)"
					      : "");
		free(s);
		return NULL;
	}
	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	(void)pfkey_widen_queue(s->fd, RECEIVE_BUFFER);
	return s;
}

void pfkey_sync_close(struct pfkey_sync *sync)
{
	if (!sync)
		return;
	close(sync->fd);
	secret_wipe(sync->buffer, sizeof(sync->buffer));
	free(sync);
}

struct pfkey_message *pfkey_sync_msg(struct pfkey_sync *sync)
{
	return &sync->msg;
}

static int send_built(struct pfkey_sync *s)
{
	ssize_t n;

	pfkey_message_number(s->msg.bytes, ++s->sequence, s->pid);
	n = send(s->fd, s->msg.bytes, s->msg.len, 0);
	int error = n < 0 ? errno : 0;

	pfkey_message_wipe(&s->msg);
	return error;
}

/* The next message of this type and of ours. 0 or errno. */
static int receive(struct pfkey_sync *s, uint8_t type, struct pfkey_told *out)
{
	for (;;) {
		ssize_t n = recv(s->fd, s->buffer, sizeof(s->buffer), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? ETIMEDOUT : errno;
		if (pfkey_read(bytes_of(s->buffer, (size_t)n), out) && out->type == type &&
			out->pid == s->pid)
			return 0;
	}
}

int pfkey_sync_ask(struct pfkey_sync *sync, struct pfkey_told *out)
{
	struct sadb_msg head;
	struct pfkey_told told;
	int error;

	memcpy(&head, sync->msg.bytes, sizeof(head));
	error = send_built(sync);
	do
		error = error ? error : receive(sync, head.sadb_msg_type, &told);
	while (!error && told.sequence != sync->sequence);
	if (error)
		return error;
	if (out)
		*out = told;
	return told.error ? told.error : told.is_whole ? 0 : EBADMSG;
}

/* ---- removing ours ------------------------------------------------------------------ */

struct item {
	struct pfkey_key sa;
	uint32_t policy;
};

/* Collected while the kernel lists. */
struct found {
	struct item *items;
	unsigned count;
};

static bool add_found(struct found *found, const struct pfkey_told *told)
{
	if ((found->count & (found->count - 1)) == 0) {
		struct item *items = reallocarray(
			found->items, found->count ? 2 * (size_t)found->count : 1, sizeof(*items));

		if (!items)
			return false;
		found->items = items;
	}
	found->items[found->count++] = (struct item){
		.sa = {told->source.address, told->destination.address, told->spi, told->satype},
		.policy = told->policy.sadb_x_policy_id,
	};
	return true;
}

/* The list ends with number 0; where nothing is to be listed, with an error. */
static int list_ours(struct pfkey_sync *s, uint8_t type, struct found *found)
{
	struct pfkey_told told;
	int error = pfkey_put_plain(&s->msg, type, SADB_SATYPE_UNSPEC);

	if (!error)
		error = send_built(s);
	while (!error) {
		error = receive(s, type, &told);
		if (error)
			break;
		if (told.error)
			return told.error == ENOENT || told.error == ESRCH ? 0 : told.error;
		if (told.is_whole && pfkey_is_ours(&told) &&
			(type == SADB_DUMP ? told.has_sa && told.source.address.family &&
						     told.destination.address.family
					   : told.has_policy) &&
			!add_found(found, &told))
			error = ENOMEM;
		if (told.sequence == 0)
			break;
	}
	return error;
}

static int remove_all(struct pfkey_sync *s, uint8_t list, unsigned *removed)
{
	struct found found = {0};
	int error = list_ours(s, list, &found);

	for (unsigned i = 0; !error && i < found.count; i++) {
		error = list == SADB_DUMP
				? pfkey_put_sa_key(&s->msg, SADB_DELETE, &found.items[i].sa)
				: pfkey_put_policy_remove(&s->msg, found.items[i].policy);
		if (!error)
			error = pfkey_sync_ask(s, NULL);
		if (error == ESRCH || error == ENOENT) /* gone by itself meanwhile */
			error = 0;
		else if (!error)
			++*removed;
	}
	free(found.items);
	return error;
}

int pfkey_sync_remove_ours(struct pfkey_sync *sync, unsigned *sas, unsigned *policies)
{
	*sas = *policies = 0;
	/* The SAs first: while the policies stand, what they protect is dropped. */
	int error = remove_all(sync, SADB_DUMP, sas);

	return error ? error : remove_all(sync, SADB_X_SPDDUMP, policies);
}
