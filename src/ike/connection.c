#include "ike/connection.h"

#include <stdlib.h>
#include <string.h>

struct connection *connection_new(const char *name)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->references = 1;
	c->name = strdup(name);
	c->routing = routing_new();
	if (c->name == NULL || c->routing == NULL) {
		free(c->name);
		routing_unref(c->routing);
		free(c);
		return NULL;
	}
	return c;
}

/* Only the count changes behind the const, and that atomically. */
static struct connection *shared(const struct connection *c)
{
	union {
		const struct connection *in;
		struct connection *out;
	} u = {.in = c};

	return u.out;
}

struct connection *connection_ref(const struct connection *c)
{
	__atomic_add_fetch(&shared(c)->references, 1, __ATOMIC_RELAXED);
	return shared(c);
}

static void end_release(struct connection_end *end)
{
	identity_unref(end->id);
	identity_unref(end->authority);
	own_certificate_unref(end->certificate);
	free(end->selectors);
	address_pool_unref(end->pools[0]);
	address_pool_unref(end->pools[1]);
	free(end->updown);
}

struct modecfg_offer *modecfg_offer_ref(struct modecfg_offer *offer)
{
	if (offer != NULL)
		__atomic_add_fetch(&offer->references, 1, __ATOMIC_RELAXED);
	return offer;
}

void modecfg_offer_unref(struct modecfg_offer *offer)
{
	if (offer == NULL || __atomic_sub_fetch(&offer->references, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	free(offer->domains);
	free(offer->banner);
	free(offer);
}

static void connection_free(struct connection *c)
{
	end_release(&c->local);
	end_release(&c->remote);
	proposal_list_unref(c->ike_proposals);
	proposal_list_unref(c->child_proposals);
	authorities_unref(c->authorities);
	binding_unref(c->binding);
	modecfg_offer_unref(c->modecfg);
	for (char **alias = c->aliases; alias != NULL && *alias != NULL; alias++)
		free(*alias);
	free(c->aliases);
	free(c->ike_text);
	free(c->esp_text);
	routing_unref(c->routing);
	free(c->name);
	free(c);
}

void connection_unref(const struct connection *c)
{
	if (c != NULL && __atomic_sub_fetch(&shared(c)->references, 1, __ATOMIC_ACQ_REL) == 0)
		connection_free(shared(c));
}

static size_t text_bytes(const char *text)
{
	return text != NULL ? strlen(text) + 1 : 0;
}

static size_t end_bytes(const struct connection_end *end)
{
	return (end->id != NULL ? sizeof(*end->id) + end->id->len : 0) +
	       end->selector_count * sizeof(*end->selectors) + text_bytes(end->updown);
}

size_t connection_bytes(const struct connection *c)
{
	size_t bytes = sizeof(*c) + sizeof(*c->routing) + text_bytes(c->name) +
		       text_bytes(c->ike_text) + text_bytes(c->esp_text) + end_bytes(&c->local) +
		       end_bytes(&c->remote) + (c->binding != NULL ? sizeof(*c->binding) : 0);

	for (char **alias = c->aliases; alias != NULL; alias++) {
		bytes += sizeof(*alias) + text_bytes(*alias);
		if (*alias == NULL)
			break;
	}
	return bytes;
}
