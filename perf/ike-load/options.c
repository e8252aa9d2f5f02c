#include "options.h"

#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPT_RESPONDER = 256,
	OPT_TUNNELS,
	OPT_RATE,
	OPT_IN_FLIGHT,
	OPT_AUTH,
	OPT_PSK,
	OPT_NSSDIR,
	OPT_CERT,
	OPT_IKE,
	OPT_ESP,
	OPT_SOURCE_PREFIX,
	OPT_CLIENT_NET,
	OPT_ASK_ADDRESS,
	OPT_REMOTE_NET,
	OPT_ID_PATTERN,
	OPT_REMOTE_ID,
	OPT_HOLD,
	OPT_DPD,
	OPT_REKEY_AFTER,
	OPT_DELETE,
	OPT_SHARDS,
	OPT_RETRANSMIT,
	OPT_TIMEOUT,
	OPT_BUFFER,
	OPT_JITTER,
	OPT_JSON,
};

static const struct option long_options[] = {
	{"responder", required_argument, NULL, OPT_RESPONDER},
	{"tunnels", required_argument, NULL, OPT_TUNNELS},
	{"rate", required_argument, NULL, OPT_RATE},
	{"in-flight", required_argument, NULL, OPT_IN_FLIGHT},
	{"auth", required_argument, NULL, OPT_AUTH},
	{"psk", required_argument, NULL, OPT_PSK},
	{"nssdir", required_argument, NULL, OPT_NSSDIR},
	{"cert", required_argument, NULL, OPT_CERT},
	{"ike", required_argument, NULL, OPT_IKE},
	{"esp", required_argument, NULL, OPT_ESP},
	{"source-prefix", required_argument, NULL, OPT_SOURCE_PREFIX},
	{"client-net", required_argument, NULL, OPT_CLIENT_NET},
	{"ask-address", no_argument, NULL, OPT_ASK_ADDRESS},
	{"remote-net", required_argument, NULL, OPT_REMOTE_NET},
	{"id-pattern", required_argument, NULL, OPT_ID_PATTERN},
	{"remote-id", required_argument, NULL, OPT_REMOTE_ID},
	{"hold", required_argument, NULL, OPT_HOLD},
	{"dpd", required_argument, NULL, OPT_DPD},
	{"rekey-after", required_argument, NULL, OPT_REKEY_AFTER},
	{"delete", no_argument, NULL, OPT_DELETE},
	{"shards", required_argument, NULL, OPT_SHARDS},
	{"retransmit-timeout", required_argument, NULL, OPT_RETRANSMIT},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"socket-buffer", required_argument, NULL, OPT_BUFFER},
	{"jitter", required_argument, NULL, OPT_JITTER},
	{"json", no_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static const char usage_text[] =
	"usage: ike_load --responder ADDRESS --source-prefix PREFIX --psk SECRET [options]\n"
	"Sets tunnels up with any IKEv2 responder, each from a client with an identity of its "
	"own.\n"
	"  --responder ADDRESS     who is asked\n"
	"  --source-prefix PREFIX  the clients' addresses, used in turn. They must be local here:\n"
	"                          `ip route add local PREFIX dev lo`; and routed to from there\n"
	"  --tunnels N             how many (1000)\n"
	"  --rate R                begun a second (as fast as possible)\n"
	"  --in-flight M           most negotiations under way at once (32)\n"
	"  --auth psk|null|rsa|ecdsa  (psk)\n"
	"  --psk SECRET            the same for all\n"
	"  --nssdir DIR            NSS database of --auth rsa and ecdsa, with the responder's "
	"authority\n"
	"  --cert NICKNAME         the certificate that all clients share (client): without {} in\n"
	"                          --id-pattern then, and with a responder that lets an identity\n"
	"                          come more than once\n"
	"  --ike P, --esp P        proposals as in ipsec.conf (aes_gcm128-sha2_256;dh31, "
	"aes_gcm128)\n"
	"  --client-net PREFIX     each client protects one address of it (10.128.0.0/9)\n"
	"  --ask-address           instead, each asks for an address by a configuration payload\n"
	"  --remote-net PREFIX     what the clients ask for (10.0.0.0/16)\n"
	"  --id-pattern TEXT       identities, {} is the client's number (@client{})\n"
	"  --remote-id TEXT        the responder's (@responder)\n"
	"  --hold S                stay for so long once all are up (0)\n"
	"  --dpd S                 liveness checks of ours, after so much silence (off)\n"
	"  --rekey-after S         rekey each Child SA that often, with PFS (never); needs --hold\n"
	"  --delete                take all tunnels down at the end\n"
	"  --shards N              threads, each with ports of its own: 500+i and 4500+i (1)\n"
	"  --retransmit-timeout S  give a request up after so long (30)\n"
	"  --timeout S             end the set-up after so long, come what may (600)\n"
	"  --socket-buffer BYTES   SO_RCVBUF (the system's default)\n"
	"  --jitter PERCENT        each client's first retransmission after 500 ms, give or take "
	"so "
	"much (0)\n"
	"  --json                  one line of JSON a phase\n";

__attribute__((format(printf, 1, 2), noreturn)) static void refuse(const char *format, ...)
{
	va_list args;

	fputs("ike_load: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs(" (see --help)\n", stderr);
	exit(2);
}

static unsigned number(const char *option, const char *text, unsigned min, unsigned max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v < min || v > max)
		refuse("--%s takes a number from %u to %u, not '%s'", option, min, max, text);
	return v;
}

static double rate_of(const char *text)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !isfinite(v) || v <= 0 || v > 1e7)
		refuse("--rate takes tunnels a second, not '%s'", text);
	return v;
}

static struct ip_subnet prefix_of(const char *option, const char *text)
{
	struct ip_subnet s;

	if (!ip_subnet_parse(text, &s) || s.address.family != AF_INET)
		refuse("--%s takes an IPv4 prefix such as 10.64.0.0/12, not '%s'", option, text);
	return s;
}

static void take_auth(struct options *o, const char *text)
{
	o->auth = AUTH_METHOD_SIGNATURE;
	if (!strcmp(text, "psk"))
		o->auth = AUTH_METHOD_SECRET;
	else if (!strcmp(text, "null"))
		o->auth = AUTH_METHOD_NULL;
	else if (!strcmp(text, "rsa"))
		o->schemes = SCHEMES_RSA_PSS | SCHEMES_RSA_PKCS1;
	else if (!strcmp(text, "ecdsa"))
		o->schemes = SCHEMES_ECDSA;
	else
		refuse("--auth takes psk, null, rsa or ecdsa, not '%s'", text);
}

static void take(struct options *o, int option, const char *name, const char *value)
{
	switch (option) {
	case OPT_RESPONDER:
		if (!ip_parse(value, &o->responder) || o->responder.family != AF_INET)
			refuse("--responder takes an IPv4 address, not '%s'", value);
		break;
	case OPT_TUNNELS:
		o->tunnels = number(name, value, 1, TUNNELS_MAX);
		break;
	case OPT_RATE:
		o->rate = rate_of(value);
		break;
	case OPT_IN_FLIGHT:
		o->in_flight = number(name, value, 1, TUNNELS_MAX);
		break;
	case OPT_AUTH:
		take_auth(o, value);
		break;
	case OPT_PSK:
		o->psk = value;
		break;
	case OPT_NSSDIR:
		o->nss_dir = value;
		break;
	case OPT_CERT:
		o->certificate_name = value;
		break;
	case OPT_IKE:
		o->ike = value;
		break;
	case OPT_ESP:
		o->esp = value;
		break;
	case OPT_SOURCE_PREFIX:
		o->sources = prefix_of(name, value);
		break;
	case OPT_CLIENT_NET:
		o->client_net = prefix_of(name, value);
		break;
	case OPT_REMOTE_NET:
		(void)prefix_of(name, value);
		o->remote_net = value;
		break;
	case OPT_ID_PATTERN:
		if (strlen(value) > 200)
			refuse("--id-pattern is too long");
		o->id_pattern = value;
		break;
	case OPT_REMOTE_ID:
		o->remote_id = value;
		break;
	case OPT_HOLD:
		o->hold_s = number(name, value, 0, 86400);
		break;
	case OPT_DPD:
		o->dpd_s = number(name, value, 1, 86400);
		break;
	case OPT_REKEY_AFTER:
		o->rekey_after_s = number(name, value, 1, 43200);
		break;
	case OPT_ASK_ADDRESS:
		o->ask_address = true;
		break;
	case OPT_DELETE:
		o->take_down = true;
		break;
	case OPT_SHARDS:
		o->shards = number(name, value, 1, SHARDS_MAX);
		break;
	case OPT_RETRANSMIT:
		o->retransmit_s = number(name, value, 1, 600);
		break;
	case OPT_TIMEOUT:
		o->timeout_s = number(name, value, 1, 86400);
		break;
	case OPT_BUFFER:
		o->socket_buffer = number(name, value, 4096, 1u << 30);
		break;
	case OPT_JITTER:
		o->jitter_percent = number(name, value, 0, 90);
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case 'h':
		fputs(usage_text, stdout);
		exit(0);
	default:
		refuse("bad option");
	}
}

static void check(const struct options *o)
{
	if (ip_is_unset(&o->responder))
		refuse("--responder is missing");
	if (ip_is_unset(&o->sources.address))
		refuse("--source-prefix is missing");
	if (o->auth == AUTH_METHOD_SECRET && !o->psk)
		refuse("--psk is missing");
	if (o->auth == AUTH_METHOD_SIGNATURE && !o->nss_dir)
		refuse("--nssdir is missing");
	if (o->tunnels > (uint64_t)1 << (32 - o->client_net.prefix_len))
		refuse("--client-net has fewer addresses than there are tunnels");
	if (o->in_flight < o->shards || o->tunnels < o->shards)
		refuse("--shards is more than --tunnels or --in-flight");
}

struct options options_parse(int argc, char **argv)
{
	struct options o = {
		.tunnels = 1000,
		.in_flight = 32,
		.shards = 1,
		.auth = AUTH_METHOD_SECRET,
		.certificate_name = "client",
		.ike = "aes_gcm128-sha2_256;dh31",
		.esp = "aes_gcm128",
		.remote_net = "10.0.0.0/16",
		.id_pattern = "@client{}",
		.remote_id = "@responder",
		.retransmit_s = 30,
		.timeout_s = 600,
	};
	int option, index = 0;

	ip_subnet_parse("10.128.0.0/9", &o.client_net);
	while ((option = getopt_long(argc, argv, "h", long_options, &index)) != -1)
		take(&o, option, option < 256 ? "" : long_options[index].name, optarg);
	if (optind < argc)
		refuse("'%s' is no option", argv[optind]);
	check(&o);
	return o;
}
