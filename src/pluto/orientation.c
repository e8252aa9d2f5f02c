#include "orientation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	return ip_compare(a, b);
}

bool address_set_make(struct address_set *set, const struct listen_address *addresses, size_t count)
{
	set->count = count;
	set->sorted = calloc(count ? count : 1, sizeof(*set->sorted));
	if (!set->sorted)
		return false;
	for (size_t i = 0; i < count; i++)
		set->sorted[i] = addresses[i].address;
	qsort(set->sorted, count, sizeof(*set->sorted), compare);
	return true;
}

void address_set_release(struct address_set *set)
{
	free(set->sorted);
	memset(set, 0, sizeof(*set));
}

bool address_set_has(const struct address_set *set, const struct ip_address *address)
{
	return !ip_is_unset(address) &&
	       bsearch(address, set->sorted, set->count, sizeof(*set->sorted), compare);
}

const struct connection_end *connection_left(const struct connection *c)
{
	return c->oriented && !c->local_is_left ? &c->remote : &c->local;
}

const struct connection_end *connection_right(const struct connection *c)
{
	return c->oriented && !c->local_is_left ? &c->local : &c->remote;
}

static bool copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return !from || *to;
}

static bool copy_end(struct connection_end *to, const struct connection_end *from)
{
	*to = *from;
	to->id = identity_ref(from->id);
	to->certificate = from->certificate ? own_certificate_ref(from->certificate) : NULL;
	to->authority = from->authority ? identity_ref(from->authority) : NULL;
	for (unsigned i = 0; i < 2; i++)
		to->pools[i] = from->pools[i] ? address_pool_ref(from->pools[i]) : NULL;
	to->selectors = NULL;
	to->selector_count = 0;
	if (!copy_text(&to->updown, from->updown))
		return false;
	if (from->selector_count == 0)
		return true;
	to->selectors = calloc(from->selector_count, sizeof(*to->selectors));
	if (!to->selectors)
		return false;
	to->selector_count = from->selector_count;
	memcpy(to->selectors, from->selectors, from->selector_count * sizeof(*to->selectors));
	return true;
}

static bool copy_aliases(struct connection *to, const struct connection *from)
{
	size_t count = 0;

	to->aliases = NULL;
	while (from->aliases && from->aliases[count])
		count++;
	if (!count)
		return true;
	to->aliases = calloc(count + 1, sizeof(*to->aliases));
	for (size_t i = 0; to->aliases && i < count; i++)
		if (!copy_text(&to->aliases[i], from->aliases[i]))
			return false;
	return to->aliases;
}

/* All but the ends. */
static bool copy_rest(struct connection *to, const struct connection *from)
{
	struct connection own = *to;

	*to = *from;
	to->references = own.references;
	to->name = own.name;
	to->local = own.local;
	to->remote = own.remote;
	to->instances = __atomic_load_n(&from->instances, __ATOMIC_RELAXED);
	routing_unref(own.routing);
	to->routing = routing_ref(from->routing);
	to->aliases = NULL;
	to->ike_text = to->esp_text = NULL;
	to->ike_proposals = proposal_list_ref(from->ike_proposals);
	to->child_proposals = proposal_list_ref(from->child_proposals);
	to->authorities = from->authorities ? authorities_ref(from->authorities) : NULL;
	to->binding = from->binding ? binding_ref(from->binding) : NULL;
	to->modecfg = modecfg_offer_ref(from->modecfg);
	return copy_aliases(to, from) && copy_text(&to->ike_text, from->ike_text) &&
	       copy_text(&to->esp_text, from->esp_text);
}

static struct connection *copy_oriented(
	const struct connection *c, bool oriented, bool local_is_left)
{
	struct connection *copy = connection_new(c->name);
	bool swap = oriented && !local_is_left;

	if (!copy)
		return NULL;
	if (copy_rest(copy, c) &&
		copy_end(&copy->local, swap ? connection_right(c) : connection_left(c)) &&
		copy_end(&copy->remote, swap ? connection_left(c) : connection_right(c))) {
		copy->oriented = oriented;
		copy->local_is_left = local_is_left;
		return copy;
	}
	connection_unref(copy);
	return NULL;
}

struct connection *connection_copy(const struct connection *c)
{
	return copy_oriented(c, c->oriented, c->local_is_left);
}

enum orient_result connection_orient(
	const struct connection *c, const struct address_set *ours, struct connection **out)
{
	bool left = address_set_has(ours, &connection_left(c)->host);
	bool right = address_set_has(ours, &connection_right(c)->host);
	bool oriented = left != right;

	if (oriented == c->oriented && (!oriented || left == c->local_is_left))
		return ORIENT_SAME;
	*out = copy_oriented(c, oriented, oriented && left);
	return *out ? ORIENT_CHANGED : ORIENT_NO_MEMORY;
}

static const char *host_text(const struct connection_end *e, char out[IP_TEXT_MAX])
{
	if (ip_is_unset(&e->host))
		snprintf(out, IP_TEXT_MAX, "%%any");
	else
		ip_text(&e->host, out);
	return out;
}

const char *connection_unoriented_text(
	const struct connection *c, const struct address_set *ours, char out[ORIENT_TEXT_MAX])
{
	char left[IP_TEXT_MAX], right[IP_TEXT_MAX];
	bool both = address_set_has(ours, &connection_left(c)->host) &&
		    address_set_has(ours, &connection_right(c)->host);

	snprintf(out, ORIENT_TEXT_MAX,
		both ? "both left=%s and right=%s match an interface"
		     : "neither left=%s nor right=%s match an interface",
		host_text(connection_left(c), left), host_text(connection_right(c), right));
	return out;
}
