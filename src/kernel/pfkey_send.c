/* Requests become messages, many to a call. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "pfkey_request.h"

static void send_out(struct pfkey_channel *c)
{
	struct mmsghdr headers[PFKEY_BATCH] = {0};
	struct iovec iov[PFKEY_BATCH];
	unsigned sent = 0;

	for (unsigned i = 0; i < c->out_count; i++) {
		iov[i] = (struct iovec){c->out[i].bytes, c->out[i].len};
		headers[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	while (sent < c->out_count) {
		int n = sendmmsg(c->fd, headers + sent, c->out_count - sent, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			/* No memory: nothing of the rest was done, and no answer will come. */
			__atomic_fetch_add(&c->pfkey->stats.overruns, 1, __ATOMIC_RELAXED);
			c->send_error = errno;
			break;
		}
		sent += (unsigned)n;
	}
	for (unsigned i = 0; i < c->out_count; i++)
		pfkey_message_wipe(&c->out[i]);
	c->out_count = 0;
}

/* Where the next message is built. */
static struct pfkey_message *next_message(struct pfkey_channel *c)
{
	if (c->out_count == PFKEY_BATCH)
		send_out(c);
	return &c->out[c->out_count];
}

/* The message that was built in next_message goes out with the others. `error`: of building it. */
static void fly(struct pfkey_channel *c, struct pfkey_request *r, uint8_t type, int error)
{
	struct pfkey_message *m = &c->out[c->out_count];
	uint32_t mask = (1u << SEQUENCE_BITS) - 1, sequence;

	if (error) {
		pfkey_message_wipe(m);
		if (!r->error)
			r->error = error;
		return;
	}
	sequence = (c->number + 1) << SEQUENCE_BITS | (++c->sequence & mask);
	pfkey_message_number(m->bytes, sequence, c->pfkey->pid);
	c->out_count++;
	*pfkey_flight_at(c, sequence) = (struct pfkey_flight){r, sequence, type};
	r->outstanding++;
	c->in_flight++;
}

static void fly_kept(struct pfkey_channel *c, struct pfkey_request *r, uint8_t type)
{
	struct pfkey_message *m = next_message(c);

	memcpy(m->bytes, r->bytes, r->len);
	m->len = r->len;
	fly(c, r, type, 0);
}

struct change {
	struct pfkey_channel *channel;
	struct pfkey_request *request;
};

static void on_policy_change(void *arg, enum policy_way way, const struct selector *selector,
	const struct policy_values *values, bool present)
{
	struct change *change = arg;
	struct pfkey_channel *c = change->channel;
	struct pfkey_message *m;
	uint32_t reqid;

	if (way == POLICY_FORWARD && !PFKEY_DIR_FORWARD)
		return;
	m = next_message(c);
	reqid = reqid_map_find(c->pfkey->reqids, values->reqid);
	fly(c, change->request, present ? SADB_X_SPDUPDATE : SADB_X_SPDDELETE,
		pfkey_put_policy(m, way, selector, present ? values : NULL, reqid));
}

/* Each policy that there is holds its request ID once. */
static int add_policy(struct pfkey_channel *c, struct pfkey_request *r)
{
	struct policies *policies = c->pfkey->policies;
	struct change change = {c, r};
	uint32_t reqid = r->values.reqid;
	unsigned before = policies_count(policies, reqid);
	int error;

	if (!reqid_map_hold(c->pfkey->reqids, reqid))
		return ENOSPC;
	error = policies_add(policies, &r->values, r->selectors, r->selector_count, r->tries > 0,
		on_policy_change, &change);
	if (policies_count(policies, reqid) == before)
		reqid_map_release(c->pfkey->reqids, reqid);
	return error;
}

static int remove_policy(struct pfkey_channel *c, struct pfkey_request *r)
{
	struct policies *policies = c->pfkey->policies;
	struct change change = {c, r};
	uint32_t reqid = r->values.reqid;
	unsigned before = policies_count(policies, reqid);
	int error = policies_remove(policies, &r->values, r->selectors, r->selector_count,
		r->tries > 0, on_policy_change, &change);

	if (policies_count(policies, reqid) < before)
		reqid_map_release(c->pfkey->reqids, reqid);
	return error;
}

/* Decided and sent under the lock, so that the kernel sees decisions in their order. */
static void send_policy(struct pfkey_channel *c, struct pfkey_request *r)
{
	int error;

	policies_lock(c->pfkey->policies);
	error = r->request.op == IPSEC_POLICY_ADD ? add_policy(c, r) : remove_policy(c, r);
	send_out(c);
	policies_unlock(c->pfkey->policies);
	if (error && !r->error)
		r->error = error;
}

static void send_moved(struct pfkey_channel *c, struct pfkey_request *r)
{
	const struct ipsec_sa *to = &r->request.sa;
	bool outbound = to->direction == IPSEC_OUTBOUND;

	fly(c, r, SADB_UPDATE,
		pfkey_put_sa_ports(next_message(c), bytes_of(r->bytes, r->len),
			outbound ? to->local.port : to->remote.port,
			outbound ? to->remote.port : to->local.port));
}

/* PF_KEY cannot put an SA elsewhere with its sequence numbers, and without them no key may be used
 * again (RFC 4106, section 3.1): only the ports of UDP encapsulation can change. */
static int check_move(const struct pfkey_sa *sa, const struct ipsec_sa *to)
{
	return ip_equal(&sa->local, &to->local.address) &&
			       ip_equal(&sa->remote, &to->remote.address) &&
			       sa->encapsulated == to->udp_encapsulation
		       ? 0
		       : EOPNOTSUPP;
}

static void send_sa(struct pfkey_channel *c, struct pfkey_request *r)
{
	struct pfkey_sa *sa = pfkey_sa_of(c, r);
	enum ipsec_op op = r->request.op;
	struct pfkey_key key;

	r->error = !sa ? ESRCH : op == IPSEC_SA_MOVE ? check_move(sa, &r->request.sa) : 0;
	if (r->error || (op == IPSEC_SA_MOVE && !sa->encapsulated))
		return;
	if (op == IPSEC_SA_ADD && r->step == STEP_FIRST) {
		fly_kept(c, r, SADB_ADD);
		return;
	}
	if (r->step == STEP_SECOND) {
		send_moved(c, r);
		return;
	}
	key = pfkey_sa_key(sa);
	fly(c, r, SADB_GET, pfkey_put_sa_key(next_message(c), SADB_GET, &key));
	if (op == IPSEC_SA_DELETE)
		fly(c, r, SADB_DELETE, pfkey_put_sa_key(next_message(c), SADB_DELETE, &key));
	else if (r->asker == ASKED && op != IPSEC_SA_QUERY)
		c->barrier = r; /* what follows must meet the SA as it will be */
}

static void send_request(struct pfkey_channel *c, struct pfkey_request *r)
{
	if (r->asker == ACQUIRE)
		fly(c, r, SADB_X_SPDGET, pfkey_put_policy_get(next_message(c), r->policy_id));
	else if (r->asker == REGISTER)
		fly(c, r, SADB_REGISTER,
			pfkey_put_plain(next_message(c), SADB_REGISTER, SADB_SATYPE_ESP));
	else if (pfkey_is_policy(r))
		send_policy(c, r);
	else
		send_sa(c, r);
}

static bool has_room(struct pfkey_channel *c, const struct pfkey_request *r)
{
	unsigned messages = pfkey_is_policy(r) ? 3 * r->selector_count : 2;
	/* Answers go into everybody's queue. */
	unsigned channels = __atomic_load_n(&c->pfkey->channels, __ATOMIC_RELAXED);

	if (c->in_flight == 0)
		return true;
	if ((c->in_flight + messages) * channels > c->flights_max)
		return false;
	/* An answer that was lost a while ago may not have been missed yet. */
	for (uint32_t i = 1; i <= messages; i++)
		if (pfkey_flight_at(c, c->sequence + i)->request)
			return false;
	return true;
}

void pfkey_flush(struct pfkey_channel *c)
{
	while (c->first && !c->barrier && has_room(c, c->first)) {
		struct pfkey_request *r = pfkey_pop(c);

		send_request(c, r);
		if (r->outstanding == 0)
			pfkey_step_done(c, r);
	}
	send_out(c);
}
