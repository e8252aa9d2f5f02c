#include "certificates.h"

#include "commands.h"
#include "pluto.h"
#include "tell.h"

#include "crypto/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* ---- opened --------------------------------------------------------------------- */

bool certificates_open(struct pluto *p, char *error, size_t size)
{
	const struct options *o = &p->options;
	char password_file[4096], reason[512];
	struct credentials_config config = {.directory = o->nss_dir,
		.password_file = password_file,
		.revocation = o->revocation};

	snprintf(password_file, sizeof(password_file), "%s/nsspassword", o->ipsec_dir);
	p->credentials = credentials_new(&config);
	if (!p->credentials) {
		snprintf(error, size, "out of memory");
		return false;
	}
	if (credentials_open(p->credentials, reason, sizeof(reason))) {
		log_line(LOG_LINE_INFO, "opened NSS database \"%s\"", o->nss_dir);
		return true;
	}
	if (o->nss_dir_given) {
		snprintf(error, size, "%s", reason);
		return false;
	}
	log_line(LOG_LINE_INFO, "certificates cannot be used: %s", reason);
	return true;
}

/* ---- read again ------------------------------------------------------------------- */

static bool reload_end(struct pluto *p, struct client *client, const struct connection *c,
	struct connection_end *e, const char *side)
{
	struct own_certificate *fresh;
	char why[256];

	if (!e->certificate)
		return true;
	fresh = credentials_by_nickname(p->credentials, e->certificate->nickname, why, sizeof(why));
	if (!fresh) {
		tell(client, RC_OK, "\"%s\": warning: %scert='%s' is kept as it was: %s", c->name,
			side, e->certificate->nickname, why);
		return true;
	}
	own_certificate_unref(e->certificate);
	e->certificate = fresh;
	tell(client, RC_OK, "\"%s\": reloaded %scert='%s'", c->name, side, fresh->nickname);
	return true;
}

static void reload_connection(struct pluto *p, struct client *client, const struct connection *c)
{
	struct connection *copy = connection_copy(c);
	struct authorities *authorities = credentials_authorities(p->credentials);
	bool left = !c->oriented || c->local_is_left;
	bool ok = copy && authorities;

	if (ok) {
		authorities_unref(copy->authorities);
		copy->authorities = authorities_ref(authorities);
		ok = reload_end(p, client, c, &copy->local, left ? "left" : "right") &&
		     reload_end(p, client, c, &copy->remote, left ? "right" : "left") &&
		     catalogue_replace(p->catalogue, copy) == 0;
	}
	if (!ok)
		tell(client, RC_INTERNAL, "\"%s\": out of memory: its certificates stay", c->name);
	authorities_unref(authorities);
	connection_unref(copy);
}

void certificates_reread(struct pluto *p, struct client *client)
{
	struct connection *c;
	uint64_t after = 0;
	char reason[512];

	if (!credentials_open(p->credentials, reason, sizeof(reason))) {
		tell(client, RC_FATAL, "certificates cannot be used: %s", reason);
		return;
	}
	credentials_forget(p->credentials);
	while ((c = catalogue_after(p->catalogue, after))) {
		after = c->serial;
		if (c->authorities)
			reload_connection(p, client, c);
		connection_unref(c);
	}
}

void command_rereadcerts(struct pluto *p, struct client *client)
{
	certificates_reread(p, client);
}

/* ---- revocation --------------------------------------------------------------------- */

void command_fetchcrls(struct pluto *p, struct client *client)
{
	char why[256];

	if (!revocation_fetch(p->credentials, why, sizeof(why)))
		client_line(client, RC_FATAL, "CRLs cannot be fetched: %s", why);
}

void command_purgeocsp(struct pluto *p, struct client *client)
{
	(void)client;
	revocation_purge_ocsp(p->credentials);
}

/* ---- lists -------------------------------------------------------------------------- */

struct list {
	struct client *client;
	bool authorities, utc;
};

static void say_time(const struct list *list, const char *what, int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	char text[64];

	if (!(list->utc ? gmtime_r(&t, &tm) : localtime_r(&t, &tm)) ||
		!strftime(text, sizeof(text), "%a %b %d %H:%M:%S %Y", &tm))
		snprintf(text, sizeof(text), "%lld", (long long)seconds);
	client_line(list->client, RC_OK, "  %s%s", what, text);
}

static void say_certificate(const struct certificate_facts *f, void *arg)
{
	const struct list *list = arg;

	if (f->authority != list->authorities)
		return;
	client_line(list->client, RC_OK, "%s \"%s\" - SN: 0x%s",
		!f->authority ? "End certificate"
		: f->root     ? "Root CA certificate"
			      : "CA certificate",
		f->nickname, f->serial);
	client_line(list->client, RC_OK, "  subject: %s", f->subject);
	client_line(list->client, RC_OK, "  issuer: %s", f->issuer);
	say_time(list, "not before: ", f->not_before_s);
	say_time(list, "not after: ", f->not_after_s);
	client_line(list->client, RC_OK, "  %u bit %s%s", f->key_bits, key_kind_name(f->kind),
		f->has_private_key            ? ": has private key"
		: f->authority && !f->trusted ? ": not trusted"
					      : "");
	if (f->has_private_key && f->ckaid[0])
		client_line(list->client, RC_OK, "  ckaid: %s", f->ckaid);
	client_line(list->client, RC_OK, "%s", "");
}

static void list_certificates(struct pluto *p, struct client *client, bool authorities)
{
	struct list list = {client, authorities, command_is_yes(client, "utc")};

	client_line(client, RC_OK, "%s", "");
	client_line(client, RC_OK, "List of X.509 %s Certificates:", authorities ? "CA" : "End");
	client_line(client, RC_OK, "%s", "");
	credentials_list(p->credentials, say_certificate, &list);
}

void command_listcerts(struct pluto *p, struct client *client)
{
	list_certificates(p, client, false);
}

void command_listcacerts(struct pluto *p, struct client *client)
{
	list_certificates(p, client, true);
}

static void say_crl(const struct crl_facts *f, void *arg)
{
	const struct list *list = arg;

	client_line(list->client, RC_OK, "%s", "");
	client_line(list->client, RC_OK, "issuer: %s", f->issuer);
	client_line(list->client, RC_OK, "revoked certs: %u", f->revoked);
	say_time(list, "updates: this ", f->this_update_s);
	if (f->next_update_s)
		say_time(list, "         next ", f->next_update_s);
}

static void say_fetch(const char *issuer, const char *url, int64_t due_s, void *arg)
{
	const struct list *list = arg;

	client_line(list->client, RC_OK, "%s", "");
	client_line(list->client, RC_OK, "issuer: %s", issuer);
	client_line(list->client, RC_OK, "distPts: '%s'", url);
	if (due_s > 0)
		say_time(list, "next fetch ", due_s);
}

void command_listcrls(struct pluto *p, struct client *client)
{
	struct list list = {client, false, command_is_yes(client, "utc")};

	client_line(client, RC_OK, "%s", "");
	client_line(client, RC_OK, "List of CRLs:");
	credentials_list_crls(p->credentials, say_crl, &list);
	client_line(client, RC_OK, "%s", "");
	client_line(client, RC_OK, "List of CRL fetch requests:");
	credentials_list_fetches(p->credentials, say_fetch, &list);
}

void command_listall(struct pluto *p, struct client *client)
{
	command_listpsks(p, client);
	command_listcerts(p, client);
	command_listcacerts(p, client);
	command_listcrls(p, client);
}
